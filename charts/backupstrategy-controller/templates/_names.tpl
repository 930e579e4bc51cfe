{{/* The host's account, as the API server names it. Policies are about this one only: what the host asks for in a
strategy's name comes as the strategy's account, which has rights of its own. */}}
{{- define "host.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:backupstrategy-controller
{{- end }}

{{/* What the host's Pods are found by. */}}
{{- define "host.selector" -}}
app.kubernetes.io/name: backupstrategy-controller
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The namespace of the CA Secret. */}}
{{- define "storage.ca-namespace" -}}
{{ .Values.backupStorage.caSecret.namespace | default .Values.backupStorage.namespace }}
{{- end }}
