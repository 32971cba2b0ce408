{{/* What serving needs to run deployments as pods of their own: the right to, and what such a pod is made of. */}}
{{- define "modelog-service.replicas" -}}
{{- $name := include "modelog-service.name" . }}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- include "modelog-service.metadata" . | nindent 2 }}
rules:
  - apiGroups: [apps]
    resources: [deployments]
    verbs: &write [get, list, create, patch, delete]
  - apiGroups: [""]
    resources: [services]
    verbs: *write
  - apiGroups: [""]
    resources: [pods]
    verbs: [list]
  - apiGroups: [autoscaling]
    resources: [horizontalpodautoscalers]
    verbs: *write
  - apiGroups: [policy]
    resources: [poddisruptionbudgets]
    verbs: *write
  - apiGroups: [gateway.networking.k8s.io]
    resources: [httproutes, grpcroutes]
    verbs: *write
  - apiGroups: [keda.sh]
    resources: [scaledobjects]
    verbs: *write
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "modelog-service.metadata" . | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $name }}}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ .Release.Namespace }}}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "modelog-service.replica-name" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "modelog-service.labels" . | nindent 4 }}
data:
  pod.json: {{ include "modelog-service.replica-pod" . | quote }}
{{- end }}

{{- define "modelog-service.replica-name" -}}
{{ include "modelog-service.name" . }}-replica
{{- end }}

{{/* JSON of serving's own PodSpec, without the rights and with a disk of its own; ready when it can answer. */}}
{{- define "modelog-service.replica-pod" -}}
{{- $pod := include "modelog-service.pod" . | fromYaml -}}
{{- $_ := set $pod "automountServiceAccountToken" false -}}
{{- $container := first $pod.containers -}}
{{- $ready := dict "httpGet" (dict "path" "/v2/health/ready" "port" "http") "periodSeconds" 5 "failureThreshold" 2 -}}
{{- $_ := set $container "readinessProbe" $ready -}}
{{- range $key, $list := dict "volumes" $pod "volumeMounts" $container -}}
{{- $kept := list -}}
{{- range index $list $key -}}
{{- if ne .name "replica" -}}{{- $kept = append $kept . -}}{{- end -}}
{{- end -}}
{{- $_ := set $list $key $kept -}}
{{- end -}}
{{- toJson $pod -}}
{{- end }}

{{/* Settings of it that are no secret. */}}
{{- define "modelog-service.replica-settings" -}}
MODELOG_SERVING_REPLICAS: kubernetes
MODELOG_KUBERNETES_NAMESPACE: {{ .Release.Namespace | quote }}
MODELOG_KUBERNETES_INSTALLATION: {{ .Release.Name | quote }}
MODELOG_KUBERNETES_POD_FILE: /etc/modelog/replica/pod.json
{{- with .Values.kubernetes }}
MODELOG_KUBERNETES_VARIANTS: {{ .variants | default "together" | quote }}
MODELOG_KUBERNETES_REPLICAS: {{ .replicas | default 1 | int | quote }}
MODELOG_KUBERNETES_SCALER: {{ .scaler | default "hpa" | quote }}
{{- with .prometheus }}
MODELOG_KUBERNETES_PROMETHEUS: {{ . | quote }}
{{- end }}
{{- with .activationQuery }}
MODELOG_KUBERNETES_ACTIVATION_QUERY: {{ . | quote }}
{{- end }}
{{- with .gateway }}
MODELOG_KUBERNETES_GATEWAY: {{ . | quote }}
{{- end }}
{{- with .domain }}
MODELOG_KUBERNETES_DOMAIN: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
