{{/* Names, labels and images. */}}

{{- define "merpati.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* merpati.selector (list ROOT COMPONENT) */}}
{{- define "merpati.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* merpati.labels (list ROOT COMPONENT) */}}
{{- define "merpati.labels" -}}
{{- $root := index . 0 -}}
{{ include "merpati.selector" . }}
app.kubernetes.io/version: {{ $root.Values.image.tag | default $root.Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/part-of: merpati
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* merpati.meta (list ROOT COMPONENT NAME [ANNOTATIONS]): the metadata of an object. */}}
{{- define "merpati.meta" -}}
{{- $root := index . 0 -}}
{{- $annotations := merge (dict) $root.Values.commonAnnotations -}}
{{- if gt (len .) 3 -}}{{- $annotations = merge (dict) (index . 3) $annotations -}}{{- end -}}
name: {{ index . 2 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "merpati.labels" (list $root (index . 1)) | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "merpati.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where a headless Service gives the addresses of every replica: merpati.pods (list ROOT SERVICE KIND) */}}
{{- define "merpati.pods" -}}
{{- $name := printf "%s-%s" (include "merpati.fullname" (index . 0)) (index . 1) -}}
{{- ternary $name (printf "%s-pods" $name) (eq (index . 2) "backend") -}}
{{- end -}}

{{- define "merpati.keep" -}}
{{- if .Values.secrets.keep -}}
helm.sh/resource-policy: keep
{{- end -}}
{{- end -}}
