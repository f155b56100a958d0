{{/*
Parts of the gateway's pod that need more than a line. Used by the Deployment and the test.
*/}}

{{- define "wicketgate.image" -}}
{{- $image := .Values.image | default dict -}}
{{- $repository := $image.repository | default "wicketgate" -}}
{{- with $image.digest -}}
{{- printf "%s@%s" $repository . | quote -}}
{{- else -}}
{{- printf "%s:%s" $repository ($image.tag | default $.Chart.AppVersion | toString) | quote -}}
{{- end -}}
{{- end }}

{{- define "wicketgate.pullSecrets" -}}
{{- $credentials := .Values.imageCredentials | default dict -}}
{{- $names := list -}}
{{- if $credentials.password -}}{{- $names = append $names (dict "name" (printf "%s-registry" (include "wicketgate.fullname" .))) -}}{{- end -}}
{{- range $credentials.existingImagePullSecrets -}}{{- $names = append $names . -}}{{- end -}}
{{- with $names -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end }}

{{/* A volume's name for a Secret's, which may be longer and have dots. */}}
{{- define "wicketgate.pullVolume" -}}
{{- printf "pull-%s" (sha256sum . | trunc 8) -}}
{{- end }}

{{/* The registry of the pull secret, as `docker login` writes it. */}}
{{- define "wicketgate.registry" -}}
{{- $repository := (.Values.image).repository | default "wicketgate" -}}
{{- $first := splitList "/" $repository | first -}}
{{- $named := or (contains "." $first) (contains ":" $first) (eq $first "localhost") -}}
{{- (.Values.imageCredentials).registry | default (and $named (contains "/" $repository) | ternary $first "https://index.docker.io/v1/") -}}
{{- end }}

{{/*
The pod's security context. On OpenShift without user and groups: it takes them from each namespace's range, and refuses others.
*/}}
{{- define "wicketgate.podSecurityContext" -}}
{{- $context := .Values.podSecurityContext | default dict -}}
{{- if .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- with $context -}}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end }}

{{/* The gateway's own two times, and five seconds until SIGKILL. */}}
{{- define "wicketgate.gracePeriod" -}}
{{- add (int .shutdown.delay) (int .shutdown.drain) 5 -}}
{{- end }}

{{/*
Over what a gateway reads at its start: configuration, authorities, secrets of the values. Not the generated ones: they stay.
Called with `list <root> <settings>`.
*/}}
{{- define "wicketgate.checksum" -}}
{{- $values := (index . 0).Values -}}
{{- $certificates := $values.customCertificates | default dict -}}
{{- list
  ($values.config | default dict)
  ($certificates.overrideCaCertificatesCrt | default "")
  ($certificates.extraCerts | default list)
  (index . 1).clearml.inValues
  (($values.secret).loginSecret | default "")
  (($values.secret).adminToken | default "")
| toJson | sha256sum -}}
{{- end }}

{{- define "wicketgate.scheduling" -}}
{{- $spread := dict
  "maxSkew" 1
  "topologyKey" "kubernetes.io/hostname"
  "whenUnsatisfiable" "ScheduleAnyway"
  "labelSelector" (dict "matchLabels" (include "wicketgate.selector" . | fromYaml)) -}}
{{- $given := pick .Values "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" -}}
{{- $all := dict "topologySpreadConstraints" (list $spread) -}}
{{- range $key, $value := $given -}}{{- if $value -}}{{- $_ := set $all $key $value -}}{{- end -}}{{- end -}}
{{- toYaml $all -}}
{{- end }}
