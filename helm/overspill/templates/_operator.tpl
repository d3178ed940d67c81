{{/* How the operator is started and what it is told. */}}
{{- define "overspill.args" -}}
- kopf
- run
- --module=overspill.app
- --all-namespaces
- --log-format={{ .Values.log.format }}
{{- if eq .Values.log.level "DEBUG" }}
- --verbose
{{- else if has .Values.log.level (list "WARNING" "ERROR") }}
- --quiet
{{- end }}
{{- end }}

{{- define "overspill.env" -}}
- name: OVERSPILL_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: OVERSPILL_IDENTITY
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: OVERSPILL_POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- name: OVERSPILL_CLUSTER_SECRET_FILE
  value: /etc/overspill/cluster-secret/secret
{{- with .Values.report.url }}
- name: OVERSPILL_REPORT_URL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
