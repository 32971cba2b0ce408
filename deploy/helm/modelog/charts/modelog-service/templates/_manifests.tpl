{{/* Everything a service is made of; a subchart includes this and nothing else. */}}
{{- define "modelog-service.manifests" -}}
{{- include "modelog-service.check" . }}
{{ include "modelog-service.account" . }}
---
{{ include "modelog-service.settings" . }}
---
{{ include "modelog-service.deployment" . }}
---
{{ include "modelog-service.service" . }}
{{- if .Values.global.podDisruptionBudget.enabled }}
---
{{ include "modelog-service.disruption-budget" . }}
{{- end }}
{{- if .Values.autoscaling }}
---
{{ include "modelog-service.autoscaler" . }}
{{- end }}
{{- if .Values.kubernetes }}
---
{{ include "modelog-service.replicas" . }}
{{- end }}
{{- if .Values.global.networkPolicy.enabled }}
---
{{ include "modelog-service.network-policy" . }}
{{- end }}
{{- end }}
