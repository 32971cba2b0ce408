{{/* Settings that are no secret. The values are strings, as environment variables are. */}}
{{- define "modelog-service.settings" -}}
{{- $global := .Values.global }}
{{- $ports := include "modelog-service.ports" . | fromYaml }}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "modelog-service.metadata" . | nindent 2 }}
data:
  MODELOG_SERVICE_HOST: "0.0.0.0"
  MODELOG_GRPC_PORT: {{ $ports.grpc | int | quote }}
  {{- with $ports.http }}
  MODELOG_HTTP_PORT: {{ int . | quote }}
  {{- end }}
  {{- with $ports.oip }}
  MODELOG_OIP_GRPC_PORT: {{ int . | quote }}
  {{- end }}
  MODELOG_DATA_DIR: /data
  {{- if eq $global.events.store "sqlite" }}
  MODELOG_EVENT_STORE: sqlite:////data/events.db
  {{- end }}
  MODELOG_KAFKA_BOOTSTRAP: {{ $global.kafka.bootstrap | quote }}
  {{- if .Values.graph }}
  MODELOG_GRAPH_URI: {{ $global.graph.uri | quote }}
  {{- end }}
  {{- with $global.series.url }}
  MODELOG_SERIES: {{ . | quote }}
  {{- end }}
  {{- with $global.curves.url }}
  MODELOG_CURVES: {{ . | quote }}
  {{- end }}
  {{- with $global.search.url }}
  MODELOG_SEARCH: {{ . | quote }}
  {{- end }}
  {{- with $global.webhooks.networks }}
  MODELOG_WEBHOOK_NETWORKS: {{ join "," . | quote }}
  {{- end }}
  MODELOG_BLOBS: {{ $global.blobs.url | quote }}
  MODELOG_PEERS: {{ include "modelog-service.peers" . | quote }}
  MODELOG_PUBLIC_KEY_FILE: /etc/modelog/identity/public.pem
  MODELOG_SERVICE_TOKEN_FILE: /etc/modelog/identity/token
  {{- if .Values.signing }}
  MODELOG_SIGNING_KEY_FILE: /etc/modelog/identity/signing.pem
  {{- end }}
  {{- if .Values.personal }}
  MODELOG_MASTER_KEY: env://MODELOG_MASTER_KEYS
  {{- end }}
  {{- if $global.tls.secret }}
  MODELOG_TLS_CERTIFICATE_FILE: /etc/modelog/tls/tls.crt
  MODELOG_TLS_KEY_FILE: /etc/modelog/tls/tls.key
  {{- if $global.tls.mutual }}
  MODELOG_TLS_AUTHORITY_FILE: /etc/modelog/tls/ca.crt
  {{- end }}
  {{- end }}
  MODELOG_GRPC_EDGE: {{ $global.grpc.edge | quote }}
  MODELOG_GRPC_CLIENT: {{ $global.grpc.client | quote }}
  MODELOG_LOG_LEVEL: {{ $global.log.level | quote }}
  MODELOG_CONNECTIONS: {{ int $global.connections | quote }}
  MODELOG_DRAIN_S: {{ int $global.drainS | quote }}
  {{- if .Values.kubernetes }}
  {{- include "modelog-service.replica-settings" . | nindent 2 }}
  {{- end }}
  {{- range $key, $value := .Values.engine }}
  MODELOG_SERVING_{{ $key | snakecase | upper }}: {{ include "modelog-service.plain" $value }}
  {{- end }}
  {{- with $global.otlp.endpoint }}
  MODELOG_OTLP_ENDPOINT: {{ . | quote }}
  {{- end }}
{{- end }}

{{/* A text, a number or true and false in quotes; Helm reads numbers as floats, and would write a large one as 8e+06. */}}
{{- define "modelog-service.plain" -}}
{{- if or (kindIs "string" .) (kindIs "bool" .) }}{{ quote . }}
{{- else if eq (floor .) (float64 .) }}{{ int64 . | quote }}
{{- else }}{{ quote . }}
{{- end }}
{{- end }}

{{/* JSON: service -> host:port. */}}
{{- define "modelog-service.peers" -}}
{{- $peers := dict }}
{{- range $service := include "modelog-service.services" . | splitList " " }}
{{- $host := include "modelog-service.name-of" (list $.Release.Name $service) }}
{{- $_ := set $peers $service (printf "%s:%d" $host (int $.Values.global.ports.grpc)) }}
{{- end }}
{{- toJson $peers }}
{{- end }}

{{/* Settings that are secrets, by reference. */}}
{{- define "modelog-service.secrets" -}}
{{- $global := .Values.global }}
{{- if ne $global.events.store "sqlite" }}
- name: MODELOG_EVENT_STORE
  valueFrom: {secretKeyRef: {name: {{ $global.events.postgresql.secret }}, key: {{ $global.events.postgresql.key }}}}
{{- end }}
{{- range $name, $held := dict "MODELOG_TABLES" $global.tables "MODELOG_EVENT_BUS" $global.eventBus "MODELOG_CACHE" $global.cache "MODELOG_SERIES_TOKEN" $global.series "MODELOG_SEARCH_API_KEY" $global.search }}
{{- if $held.secret }}
- name: {{ $name }}
  valueFrom: {secretKeyRef: {name: {{ $held.secret }}, key: {{ $held.key }}}}
{{- end }}
{{- end }}
{{- if .Values.personal }}
- name: MODELOG_MASTER_KEYS
  valueFrom: {secretKeyRef: {name: {{ $global.identity.secret }}, key: master.key}}
{{- end }}
{{- if .Values.graph }}
{{- with $global.graph.credentials }}
- name: MODELOG_GRAPH_USER
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .userKey }}}}
- name: MODELOG_GRAPH_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .passwordKey }}}}
{{- end }}
{{- end }}
{{- end }}
