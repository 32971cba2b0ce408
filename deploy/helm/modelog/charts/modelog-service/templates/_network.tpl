{{- define "modelog-service.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "modelog-service.metadata" . | nindent 2 }}
  {{- with .Values.accountAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{- define "modelog-service.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "modelog-service.metadata" . | nindent 2 }}
spec:
  type: ClusterIP
  selector:
    {{- include "modelog-service.selector" . | nindent 4 }}
  ports:
    {{- range $name, $port := include "modelog-service.ports" . | fromYaml }}
    - name: {{ $name }}
      port: {{ int $port }}
      targetPort: {{ $name }}
      protocol: TCP
      appProtocol: {{ eq $name "http" | ternary "http" "kubernetes.io/h2c" }}
    {{- end }}
{{- end }}

{{/* Inward only: what a service calls (Kafka, graph, blobs, webhooks) is the cluster's to restrict. */}}
{{- define "modelog-service.network-policy" -}}
{{- $policy := .Values.global.networkPolicy }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "modelog-service.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "modelog-service.selector" . | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    - ports:
        - {port: grpc, protocol: TCP}
      from:
        - podSelector:
            matchLabels:
              app.kubernetes.io/instance: {{ .Release.Name }}
              app.kubernetes.io/part-of: modelog
        {{- with $policy.grpcClients }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.ports }}
    - ports:
        {{- range $name, $_ := . }}
        - {port: {{ $name }}, protocol: TCP}
        {{- end }}
      {{- with $policy.httpClients }}
      from: {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- end }}
{{- end }}
