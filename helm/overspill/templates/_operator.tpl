{{/* How the operator is started and what it is told. */}}
{{- define "overspill.args" -}}
- kopf
- run
- --module=overspill.app
- --all-namespaces
- --standalone
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
# Stands in the election Lease: a standby replica hands reports to the leader there.
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- name: OVERSPILL_CLUSTER_SECRET
  valueFrom:
    secretKeyRef: {name: {{ include "overspill.clusterSecretName" . }}, key: {{ .Values.clusterSecret.key }}}
{{- with .Values.report.url }}
- name: OVERSPILL_REPORT_URL
  value: {{ . | quote }}
{{- end }}
{{- with include "overspill.homeReportURL" . }}
- name: OVERSPILL_HOME_REPORT_URL
  value: {{ . | quote }}
{{- end }}
{{- if .Values.report.tlsSecretName }}
- name: OVERSPILL_REPORT_TLS_CERT
  value: /etc/overspill/report-tls/tls.crt
- name: OVERSPILL_REPORT_TLS_KEY
  value: /etc/overspill/report-tls/tls.key
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Pods at home report through the Service. Where the operator serves TLS itself, the name in its
     certificate is the public one, so they take the public URL too. */}}
{{- define "overspill.homeReportURL" -}}
{{- if .Values.report.tlsSecretName }}
{{- .Values.report.url }}
{{- else }}
{{- printf "http://%s-report.%s.svc:%v" (include "overspill.fullname" .) .Release.Namespace .Values.report.service.port }}
{{- end }}
{{- end }}
