{{/* A node can always be drained: of one replica one may be away. */}}
{{- define "modelog-service.disruption-budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "modelog-service.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "modelog-service.selector" . | nindent 6 }}
{{- end }}

{{- define "modelog-service.autoscaler" -}}
{{- $name := include "modelog-service.name" . }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "modelog-service.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $name }}}
  minReplicas: {{ int .Values.autoscaling.minReplicas }}
  maxReplicas: {{ int .Values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ int .Values.autoscaling.cpuPercent }}}
{{- end }}
