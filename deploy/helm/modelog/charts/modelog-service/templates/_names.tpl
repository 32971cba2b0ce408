{{/* The six services; each finds the others by these names. */}}
{{- define "modelog-service.services" -}}
registry training serving monitoring lineage gateway
{{- end }}

{{/* Name of a service's objects, at most 63 characters as DNS asks. Takes (list release-name service-name). */}}
{{- define "modelog-service.name-of" -}}
{{ printf "%s-%s" (index . 0 | trunc 50 | trimSuffix "-") (index . 1) }}
{{- end }}

{{- define "modelog-service.name" -}}
{{ include "modelog-service.name-of" (list .Release.Name .Chart.Name) }}
{{- end }}

{{- define "modelog-service.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "modelog-service.labels" -}}
{{ include "modelog-service.selector" . }}
app.kubernetes.io/part-of: modelog
app.kubernetes.io/version: {{ .Values.global.image.tag | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: modelog-{{ .Chart.Version }}
{{- end }}

{{/* Kind of metadata every object has. */}}
{{- define "modelog-service.metadata" -}}
name: {{ include "modelog-service.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "modelog-service.labels" . | nindent 2 }}
{{- end }}

{{- define "modelog-service.data-volume" -}}
{{ include "modelog-service.name-of" (list .Release.Name "data") }}
{{- end }}

{{/* Ports by name, as YAML: grpc for all, http and oip where the service has them. */}}
{{- define "modelog-service.ports" -}}
{{ mustMerge (dict "grpc" .Values.global.ports.grpc) (.Values.ports | default dict) | toYaml }}
{{- end }}
