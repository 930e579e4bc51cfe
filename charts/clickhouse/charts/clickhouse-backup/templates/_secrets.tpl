{{/* The Secrets that the container needs, beside the platform's: one document each. */}}
{{- define "clickhouse-backup.secrets" -}}
{{- if .Values.backup.enabled }}
{{- $name := printf "%s-backup-api-auth" .Release.Name }}
{{- /* An upgrade keeps the password: the sidecar reads it only when it starts. */}}
{{- $password := randAlphaNum 24 | b64enc }}
{{- with lookup "v1" "Secret" .Release.Namespace $name }}
{{- $password = dig "data" "password" $password . }}
{{- end }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ $name }}
data:
  username: {{ b64enc "backup" }}
  password: {{ $password }}
{{- if not (or .Values.backup.useSystemBucket .Values.backup.s3CredentialsSecret.name) }}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}-backup-s3
stringData:
  bucketName: {{ .Values.backup.s3Bucket | quote }}
  endpoint: {{ .Values.backup.endpoint | quote }}
  region: {{ .Values.backup.s3Region | quote }}
  accessKey: {{ .Values.backup.s3AccessKey | quote }}
  secretKey: {{ .Values.backup.s3SecretKey | quote }}
{{- end }}
{{- end }}
{{- end }}
