{{/* The container, for the Pod template of every shard and replica; nothing where backups are off. The chart's own user
`backup` is expected, with its password under the key `backup` of the Secret <release>-credentials, and the volume of the
data under the name `data-volume-template`. */}}
{{- define "clickhouse-backup.container" -}}
{{- if .Values.backup.enabled -}}
- name: clickhouse-backup
  image: {{ .Values.backup.image | quote }}
  command: ["clickhouse-backup", "server"]
  ports:
    - name: ch-backup-api
      containerPort: 7171
      protocol: TCP
  env:
    - name: CLICKHOUSE_HOST
      value: localhost
    - name: CLICKHOUSE_PORT
      value: "9000"
    - name: CLICKHOUSE_USERNAME
      value: backup
    - name: CLICKHOUSE_PASSWORD
      valueFrom:
        secretKeyRef:
          name: {{ .Release.Name }}-credentials
          key: backup
    - name: ALLOW_EMPTY_BACKUPS
      value: "true"
    - name: API_LISTEN
      value: "0.0.0.0:7171"
    - name: API_USERNAME
      valueFrom:
        secretKeyRef:
          name: {{ .Release.Name }}-backup-api-auth
          key: username
    - name: API_PASSWORD
      valueFrom:
        secretKeyRef:
          name: {{ .Release.Name }}-backup-api-auth
          key: password
    - name: REMOTE_STORAGE
      value: s3
    {{- include "clickhouse-backup.bucket-variable" (list . "S3_BUCKET" "bucketKey" "bucketName") | nindent 4 }}
    {{- include "clickhouse-backup.bucket-variable" (list . "S3_ENDPOINT" "endpointKey" "endpoint") | nindent 4 }}
    {{- include "clickhouse-backup.bucket-variable" (list . "S3_REGION" "regionKey" "region") | nindent 4 }}
    {{- include "clickhouse-backup.bucket-variable" (list . "S3_ACCESS_KEY" "accessKeyIDKey" "accessKey") | nindent 4 }}
    {{- include "clickhouse-backup.bucket-variable" (list . "S3_SECRET_KEY" "secretAccessKeyKey" "secretKey") | nindent 4 }}
    {{- if .Values.backup.useSystemBucket }}
    {{- include "clickhouse-backup.bucket-variable" (list . "S3_FORCE_PATH_STYLE" "" "forcePathStyle") | nindent 4 }}
    {{- else if or .Values.backup.endpoint .Values.backup.s3CredentialsSecret.name }}
    - name: S3_FORCE_PATH_STYLE
      value: "true"
    {{- end }}
    - name: S3_PATH
      value: {{ include "clickhouse-backup.path" . | quote }}
    {{- if .Values.backup.endpointCA.name }}
    - name: SSL_CERT_DIR
      value: /etc/ssl/cozy-s3-ca:/etc/ssl/certs
    {{- end }}
  volumeMounts:
    - name: data-volume-template
      mountPath: /var/lib/clickhouse
    {{- if .Values.backup.endpointCA.name }}
    - name: backup-s3-ca
      mountPath: /etc/ssl/cozy-s3-ca
      readOnly: true
    {{- end }}
  resources:
    requests:
      cpu: 10m
      memory: 64Mi
    limits:
      cpu: 500m
      memory: 256Mi
  # It reads and links the files of the database, which are another user's.
  securityContext:
    runAsUser: 0
    runAsGroup: 0
    allowPrivilegeEscalation: false
    capabilities:
      drop: ["ALL"]
      add: ["DAC_OVERRIDE", "CHOWN", "FOWNER", "FSETID"]
    seccompProfile:
      type: RuntimeDefault
{{- end }}
{{- end }}

{{/* The volumes of the container, for the same Pod template. */}}
{{- define "clickhouse-backup.volumes" -}}
{{- if and .Values.backup.enabled .Values.backup.endpointCA.name -}}
- name: backup-s3-ca
  secret:
    secretName: {{ .Values.backup.endpointCA.name }}
    items:
      - key: {{ .Values.backup.endpointCA.key }}
        path: ca.crt
{{- end }}
{{- end }}
