{{- define "cavecast.name" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "cavecast.selector" -}}
app.kubernetes.io/name: cavecast
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: control
{{- end }}

{{- define "cavecast.labels" -}}
{{ include "cavecast.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "cavecast.account" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "cavecast.name" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end -}}
{{- end }}

{{- define "cavecast.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end -}}
{{- end }}

{{- define "cavecast.port" -}}
{{ .Values.access.port }}
{{- end }}

{{- define "cavecast.probe" -}}
{{- if .Values.access.enabled -}}
httpGet:
  path: /healthz
  port: http
  scheme: {{ if .Values.access.tlsSecret }}HTTPS{{ else }}HTTP{{ end }}
{{- else -}}
{{- /* The pod's loopback cannot be reached from the node, so the question is asked within. */ -}}
exec:
  command:
    - python
    - -c
    - >-
      import urllib.request as u;
      u.build_opener(u.ProxyHandler({})).open("http://127.0.0.1:{{ include "cavecast.port" . }}/healthz", timeout=4)
{{- end }}
timeoutSeconds: 5
{{- end }}

{{- define "cavecast.spaces" -}}
{{- default (list .Release.Namespace) .Values.cluster.namespaces | join "," -}}
{{- end }}

{{- define "cavecast.site" -}}
{{- $name := include "cavecast.name" . }}
{{- $spaces := include "cavecast.spaces" . | splitList "," }}
{{- if .Values.cluster.site }}
{{- .Values.cluster.site }}
{{- else -}}
namespace = {{ first $spaces | quote }}
other_namespaces = {{ rest $spaces | toJson }}
installation = {{ $name | quote }}
pull_secrets = [{{ range $i, $one := .Values.imagePullSecrets }}{{ if $i }}, {{ end }}{{ $one.name | quote }}{{ end }}]
[controllers]
namespace = {{ .Release.Namespace | quote }}
labels = { "app.kubernetes.io/name" = "cavecast", "app.kubernetes.io/instance" = {{ .Release.Name | quote }}, "app.kubernetes.io/component" = "control" }
[lease]
name = {{ $name | quote }}
namespace = {{ .Release.Namespace | quote }}
[storage]
size = {{ .Values.storage.size | quote }}
storage_class = {{ .Values.storage.storageClass | quote }}
[streamer]
image = {{ include "cavecast.image" . | quote }}
pull_policy = {{ .Values.image.pullPolicy | quote }}
[worker]
image = {{ .Values.cluster.workerImage | quote }}
pull_policy = {{ .Values.image.pullPolicy | quote }}
{{- with .Values.cluster.rendererImage }}
[renderer]
image = {{ . | quote }}
pull_policy = {{ $.Values.image.pullPolicy | quote }}
{{- end }}
{{- end }}
{{- end }}
