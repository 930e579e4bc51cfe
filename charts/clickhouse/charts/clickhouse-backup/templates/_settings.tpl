{{/* What the values must not say together. To be included once by the chart, wherever it likes. */}}
{{- define "clickhouse-backup.check" -}}
{{- with .Values.backup }}
{{- if and .enabled .useSystemBucket .s3PathOverride }}
{{- fail "backup.s3PathOverride cannot be set with backup.useSystemBucket: in the platform's bucket the path is <namespace>/<release>" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Says "true" where archives go to the platform's bucket, nothing otherwise. Then the release's own way of backups,
such as a CronJob with the legacy values, must not be rendered. */}}
{{- define "clickhouse-backup.uses-system-bucket" -}}
{{- if and .Values.backup.enabled .Values.backup.useSystemBucket }}true{{ end }}
{{- end }}

{{/* The Secret with the keys of the bucket. */}}
{{- define "clickhouse-backup.bucket-secret" -}}
{{- if .Values.backup.useSystemBucket -}}
cozy-backups-creds
{{- else -}}
{{ .Values.backup.s3CredentialsSecret.name | default (printf "%s-backup-s3" .Release.Name) }}
{{- end }}
{{- end }}

{{/* The folder of the archives in the bucket. */}}
{{- define "clickhouse-backup.path" -}}
{{- if .Values.backup.useSystemBucket -}}
{{ .Release.Namespace }}/{{ .Release.Name }}
{{- else -}}
{{ .Values.backup.s3PathOverride | default .Release.Name }}
{{- end }}
{{- end }}

{{/* One variable of the sidecar that comes out of the bucket's Secret. Takes a list: the root, the variable, the name of
the value that says the key of one's own Secret ("" where there is none), and the usual key.

The platform's Secret comes into the namespace with the first job that needs it, and with the label that it has to be
kept up to date. A Pod must be able to start before that. */}}
{{- define "clickhouse-backup.bucket-variable" -}}
{{- $root := index . 0 }}
{{- $backup := $root.Values.backup }}
{{- $key := index . 3 }}
{{- if and (not $backup.useSystemBucket) $backup.s3CredentialsSecret.name }}
{{- $key = get $backup.s3CredentialsSecret (index . 2) | default $key }}
{{- end -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "clickhouse-backup.bucket-secret" $root }}
      key: {{ $key }}
      {{- if $backup.useSystemBucket }}
      optional: true
      {{- end }}
{{- end }}
