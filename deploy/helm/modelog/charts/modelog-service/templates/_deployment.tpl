{{- define "modelog-service.deployment" -}}
{{- $sqlite := eq .Values.global.events.store "sqlite" }}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "modelog-service.metadata" . | nindent 2 }}
spec:
  {{- if not .Values.autoscaling }}
  replicas: {{ int .Values.replicas }}
  {{- end }}
  # Two processes must not fold the same read tables, so with sqlite the old pod goes first; nor may two registries number
  # the batches of metrics.
  strategy:
    {{- if or $sqlite (eq .Chart.Name "registry") }}
    type: Recreate
    {{- else }}
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
    {{- end }}
  selector:
    matchLabels:
      {{- include "modelog-service.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "modelog-service.labels" . | nindent 8 }}
        {{- if $sqlite }}
        modelog/shares-volume: {{ include "modelog-service.data-volume" . }}
        {{- end }}
      annotations:
        # A change of settings starts new pods.
        modelog/settings: {{ include "modelog-service.settings" . | sha256sum }}
    spec:
      {{- include "modelog-service.pod" . | nindent 6 }}
{{- end }}

{{- define "modelog-service.pod" -}}
{{- $global := .Values.global -}}
serviceAccountName: {{ include "modelog-service.name" . }}
automountServiceAccountToken: {{ if .Values.kubernetes }}true{{ else }}false{{ end }}
# Kubernetes would add <SERVICE>_SERVICE_HOST and _PORT for every Service beside the pod: a Service called "modelog" becomes
# MODELOG_SERVICE_HOST, which is a setting of ours.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ add (int $global.drainS) 15 }}
{{- with $global.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- if eq $global.events.store "sqlite" }}
# A ReadWriteOnce volume can be mounted by many pods of one node.
affinity:
  podAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            modelog/shares-volume: {{ include "modelog-service.data-volume" . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - {{- include "modelog-service.container" . | nindent 4 }}
volumes:
  {{- include "modelog-service.volumes" . | nindent 2 }}
{{- end }}

{{- define "modelog-service.container" -}}
{{- $global := .Values.global -}}
name: {{ .Chart.Name }}
image: {{ printf "%s/%s:%s" $global.image.repository .Chart.Name $global.image.tag | quote }}
imagePullPolicy: {{ $global.image.pullPolicy }}
ports:
  {{- range $name, $port := include "modelog-service.ports" . | fromYaml }}
  - {name: {{ $name }}, containerPort: {{ int $port }}, protocol: TCP}
  {{- end }}
envFrom:
  - configMapRef: {name: {{ include "modelog-service.name" . }}}
  {{- with $global.blobs.credentials }}
  - secretRef: {name: {{ . }}}
  {{- end }}
{{- with include "modelog-service.secrets" . | trim }}
env:
  {{- . | nindent 2 }}
{{- end }}
startupProbe:
  {{- include "modelog-service.probe" . | nindent 2 }}
  periodSeconds: 2
  failureThreshold: {{ div (int $global.probes.startupS) 2 }}
readinessProbe:
  {{- include "modelog-service.probe" . | nindent 2 }}
  periodSeconds: {{ int $global.probes.periodS }}
  failureThreshold: 2
livenessProbe:
  {{- include "modelog-service.probe" . | nindent 2 }}
  periodSeconds: {{ int $global.probes.periodS }}
  failureThreshold: 6
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: data, mountPath: /data}
  - {name: tmp, mountPath: /tmp}
  - {name: identity, mountPath: /etc/modelog/identity, readOnly: true}
  {{- if $global.tls.secret }}
  - {name: tls, mountPath: /etc/modelog/tls, readOnly: true}
  {{- end }}
  {{- if .Values.kubernetes }}
  - {name: replica, mountPath: /etc/modelog/replica, readOnly: true}
  {{- end }}
  {{- if .Values.sharedMemory }}
  - {name: shared-memory, mountPath: /dev/shm}
  {{- end }}
{{- end }}

{{- define "modelog-service.probe" -}}
{{- if .Values.healthPath -}}
httpGet: {path: {{ .Values.healthPath }}, port: http{{ if .Values.global.tls.secret }}, scheme: HTTPS{{ end }}}
{{- else if .Values.global.tls.secret -}}
{{/* Kubernetes' own probe of gRPC knows no TLS. */}}
exec: {command: [python, -m, modelog_common.rpc.probe]}
{{- else -}}
grpc: {port: {{ int .Values.global.ports.grpc }}}
{{- end }}
timeoutSeconds: {{ int .Values.global.probes.timeoutS }}
{{- end }}

{{- define "modelog-service.volumes" -}}
- name: data
  {{- if eq .Values.global.events.store "sqlite" }}
  persistentVolumeClaim: {claimName: {{ include "modelog-service.data-volume" . }}}
  {{- else }}
  emptyDir: {}
  {{- end }}
- name: tmp
  emptyDir: {}
- name: identity
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ .Values.global.identity.secret }}
          items:
            - {key: public.pem, path: public.pem}
            - {key: {{ .Chart.Name }}.token, path: token}
            {{- if .Values.signing }}
            - {key: signing.pem, path: signing.pem}
            {{- end }}
{{- with .Values.global.tls.secret }}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if .Values.kubernetes }}
- name: replica
  configMap: {name: {{ include "modelog-service.replica-name" . }}}
{{- end }}
{{- with .Values.sharedMemory }}
- name: shared-memory
  emptyDir: {medium: Memory, sizeLimit: {{ . }}}
{{- end }}
{{- end }}
