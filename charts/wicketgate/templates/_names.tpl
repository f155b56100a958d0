{{/*
Names and labels of the objects. Nothing here reads more than the release and the three name values.
*/}}

{{- define "wicketgate.chartName" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* At most 52 characters, so that the endings of the names fit into the 63 of a label (RFC 1123). */}}
{{- define "wicketgate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "wicketgate.chartName" . -}}
{{- contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "wicketgate.serviceAccountName" -}}
{{- $own := ne (toString (.Values.serviceAccount).create) "false" -}}
{{- (.Values.serviceAccount).name | default ($own | ternary (include "wicketgate.fullname" .) "default") -}}
{{- end }}

{{- define "wicketgate.selector" -}}
app.kubernetes.io/name: {{ include "wicketgate.chartName" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{- define "wicketgate.labels" -}}
{{ include "wicketgate.selector" . }}
{{ include "wicketgate.labelsBesides" . }}
{{- end }}

{{/* The labels of what isn't selected with the gateway's pods. */}}
{{- define "wicketgate.labelsBesides" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The head of an object: `include "wicketgate.metadata" (list . "-tcp")`, with the ending of its name. */}}
{{- define "wicketgate.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "wicketgate.fullname" $root }}{{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "wicketgate.labels" $root | nindent 2 }}
{{- end }}
