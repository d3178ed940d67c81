{{- define "overspill.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "overspill.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "overspill.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "overspill.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "overspill.selector" -}}
app.kubernetes.io/name: {{ include "overspill.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "overspill.labels" -}}
{{ include "overspill.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "overspill.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "overspill.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "overspill.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "overspill.clusterSecretName" -}}
{{- default (printf "%s-cluster-secret" (include "overspill.fullname" .)) .Values.clusterSecret.existingSecret }}
{{- end }}

{{/* Subjects of the operator's bindings. */}}
{{- define "overspill.subjects" -}}
- kind: ServiceAccount
  name: {{ include "overspill.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* Defaults are hooks: their kinds exist only once the CRDs of this very release do. A hook of
     post-install alone is created once and then belongs to the administrator. */}}
{{- define "overspill.defaultsAnnotations" -}}
helm.sh/hook: post-install
helm.sh/hook-weight: "5"
helm.sh/hook-delete-policy: hook-failed
{{- end }}

{{/* "true" when the cluster has no such object yet. On the very first install it does not even
     have the kind, and asking for it would be an error. */}}
{{- define "overspill.isNew" -}}
{{- $served := .root.Capabilities.APIVersions.Has (printf "overspill.dev/v1alpha1/%s" .kind) }}
{{- if not (and $served (lookup "overspill.dev/v1alpha1" .kind "" .name)) }}true{{ end }}
{{- end }}
