{{/* What a schema cannot say: values that only exclude each other across keys. */}}
{{- define "modelog-service.check" -}}
{{- $service := .Chart.Name -}}
{{- if and .Values.engine (ne $service "serving") -}}
  {{- fail (printf "%s.engine is set; it is for serving only" $service) -}}
{{- end -}}
{{- if eq .Values.global.events.store "sqlite" -}}
  {{- if gt (int .Values.replicas) 1 -}}
    {{- fail (printf "%s.replicas is %d; allowed is 1 while global.events.store is sqlite: its file is on one node's disk and a service's read tables have one writer" $service (int .Values.replicas)) -}}
  {{- end -}}
  {{- if .Values.autoscaling -}}
    {{- fail (printf "%s.autoscaling is set; it is not allowed while global.events.store is sqlite, which allows one replica" $service) -}}
  {{- end -}}
  {{- if .Values.kubernetes -}}
    {{- fail (printf "%s.kubernetes is set; it is not allowed while global.events.store is sqlite, which other pods cannot follow" $service) -}}
  {{- end -}}
{{- else -}}
  {{- if not .Values.global.events.postgresql.secret -}}
    {{- fail "global.events.postgresql.secret is empty; with global.events.store=postgresql it names the Secret that holds the address" -}}
  {{- end -}}
  {{- if hasPrefix "file:" .Values.global.blobs.url -}}
    {{- fail (printf "global.blobs.url is %s; with global.events.store=postgresql pods share no disk, so allowed is s3://<bucket>" .Values.global.blobs.url) -}}
  {{- end -}}
  {{- if eq $service "registry" -}}
    {{- if not .Values.global.curves.url -}}
      {{- fail "global.curves.url is empty; with global.events.store=postgresql pods keep no files, so allowed is influxdb://<host>:8086/<organisation>/<bucket>" -}}
    {{- end -}}
    {{- if or (gt (int .Values.replicas) 1) .Values.autoscaling -}}
      {{- fail "registry has replicas or autoscaling; allowed is one replica: one process numbers the batches of metrics" -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end }}
