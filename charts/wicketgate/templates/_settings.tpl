{{/*
What the values mean: older and newer names taken together, addresses parsed, `config` read beside the values. Every manifest
takes these settings and none looks at two names for one thing itself:

    {{- $it := include "wicketgate.settings" . | fromJson }}

Numbers come back as floats: put `int` where one is printed. The rules between values stand in _requirements.tpl, which runs here,
so nothing is rendered from values that break one.
*/}}

{{- define "wicketgate.settings" -}}
{{- $config := include "wicketgate.config" . | fromYaml -}}
{{- $it := dict
  "config" $config
  "older" (include "wicketgate.older" . | fromJsonArray)
  "clearml" (include "wicketgate.clearml" (list . $config) | fromJson)
  "tcp" (include "wicketgate.tcp" (list . $config) | fromJson)
  "ports" (dict
    "http" (include "wicketgate.listenPort" (list $config.http "8080") | int)
    "admin" (include "wicketgate.listenPort" (list $config.admin "9090") | int))
  "shutdown" (dict
    "delay" (include "wicketgate.number" (list ($config.shutdown).delay_s 5) | int)
    "drain" (include "wicketgate.number" (list ($config.shutdown).drain_s 30) | int))
  "plugins" (include "wicketgate.pluginSources" . | fromJsonArray)
  "state" (not (or ($config.plugins).state_directory (has "WICKETGATE_PLUGINS__STATE_DIRECTORY" (include "wicketgate.extraNames" . | fromJsonArray))))
  "extraNames" (include "wicketgate.extraNames" . | fromJsonArray)
-}}
{{- if or (.Values.tls).secretName (($config.tls).listen) -}}
{{- $_ := set $it.ports "https" (include "wicketgate.listenPort" (list $config.tls "8443") | int) -}}
{{- end -}}
{{- $_ := set $it "kubernetes" (dict
  "enabled" (ne (toString (.Values.kubernetes).enabled) "false")
  "namespace" (($config.kubernetes).namespace | default .Release.Namespace)) -}}
{{- $_ := set $it "http" (include "wicketgate.http" (list . $it) | fromJson) -}}
{{- $_ := include "wicketgate.requirements" (list . $it) -}}
{{- toJson $it -}}
{{- end }}

{{/* `config` as YAML, whether it's given as a map or as a file's text. */}}
{{- define "wicketgate.config" -}}
{{- $config := .Values.config | default dict -}}
{{- if kindIs "string" $config -}}
{{- $parsed := $config | fromYaml -}}
{{- if hasKey $parsed "Error" -}}
{{- fail (printf "config is a text that isn't a YAML map of sections: %s" (index $parsed "Error")) -}}
{{- end -}}
{{- toYaml $parsed -}}
{{- else -}}
{{- toYaml $config -}}
{{- end -}}
{{- end }}

{{/* The port of a section's `listen`, or the chart's own: `list <section> <default>`. */}}
{{- define "wicketgate.listenPort" -}}
{{- $listen := (index . 0 | default dict).listen | default (index . 1) | toString -}}
{{- splitList ":" $listen | last -}}
{{- end }}

{{/* `list <number> <default>`, where 0 is a number as any other. */}}
{{- define "wicketgate.number" -}}
{{- $number := index . 0 -}}
{{- kindIs "invalid" $number | ternary (index . 1) $number | int -}}
{{- end }}

{{/* A host without what people write around it: scheme, closing slash. */}}
{{- define "wicketgate.bareHost" -}}
{{- regexReplaceAll "^[A-Za-z][A-Za-z0-9+.-]*://" (. | default "" | toString | trim) "" | trimSuffix "/" | lower -}}
{{- end }}

{{/* Sentences about the older names that are in use, and about both names for one thing. */}}
{{- define "wicketgate.older" -}}
{{- $older := list -}}
{{- $tcp := .Values.tcpSession | default dict -}}
{{- $stream := .Values.streamSession | default dict -}}
{{- range list
  (list "clearml.apiServerKey" (.Values.clearml).apiServerKey "clearml.apiKey" (.Values.clearml).apiKey)
  (list "clearml.apiServerSecret" (.Values.clearml).apiServerSecret "clearml.apiSecret" (.Values.clearml).apiSecret)
  (list "tcpSession.routerAddress" $tcp.routerAddress "streamSession.routerAddress" $stream.routerAddress)
  (list "tcpSession.portRange.start" ($tcp.portRange).start "streamSession.portRange.start" ($stream.portRange).start)
  (list "tcpSession.portRange.end" ($tcp.portRange).end "streamSession.portRange.end" ($stream.portRange).end)
  (list "tcpSession.service.type" ($tcp.service).type "streamSession.service.type" ($stream.service).type)
-}}
{{- if index . 1 -}}
{{- $ending := index . 3 | empty | ternary "" ", which is given too and counts" -}}
{{- $older = append $older (printf "%s is called %s now%s." (index . 0) (index . 2) $ending) -}}
{{- end -}}
{{- end -}}
{{- toJson $older -}}
{{- end }}

{{/* The ClearML server: `url`, `key`, `secret` say whether each is given anywhere; `objectName` where the chart's pods read them. */}}
{{- define "wicketgate.clearml" -}}
{{- $root := index . 0 -}}
{{- $values := $root.Values.clearml | default dict -}}
{{- $config := (index . 1).clearml | default dict -}}
{{- $env := include "wicketgate.extraNames" $root | fromJsonArray -}}
{{- $key := coalesce $values.apiKey $values.apiServerKey -}}
{{- $secret := coalesce $values.apiSecret $values.apiServerSecret -}}
{{- $existing := $values.existingSecret -}}
{{- $inValues := dict -}}
{{- range $name, $value := dict "accessKey" $key "secretKey" $secret "tokenSecret" $values.jwksKey -}}
{{- if $value -}}{{- $_ := set $inValues $name (toString $value) -}}{{- end -}}
{{- end -}}
{{- $names := mergeOverwrite (dict "accessKey" "access-key" "secretKey" "secret-key" "tokenSecret" "token-secret") ($values.secretKeys | default dict) -}}
{{- dict
  "url" (or $values.apiServerUrlReference $config.api_url (has "CLEARML_API_HOST" $env) (has "WICKETGATE_CLEARML__API_URL" $env) | not | not)
  "key" (or $key $existing $config.access_key (has "CLEARML_API_ACCESS_KEY" $env) (has "WICKETGATE_CLEARML__ACCESS_KEY" $env) | not | not)
  "secret" (or $secret $existing $config.secret_key (has "CLEARML_API_SECRET_KEY" $env) (has "WICKETGATE_CLEARML__SECRET_KEY" $env) | not | not)
  "inValues" $inValues
  "existing" ($existing | default "")
  "objectName" ($existing | default (printf "%s-clearml" (include "wicketgate.fullname" $root)))
  "keyNames" $names
| toJson -}}
{{- end }}

{{/* TCP sessions: `on`, `start`, `end`, `ports` (the whole range and static ports, in order), `address`, `type`. */}}
{{- define "wicketgate.tcp" -}}
{{- $root := index . 0 -}}
{{- $config := (index . 1).tcp | default dict -}}
{{- $stream := $root.Values.streamSession | default dict -}}
{{- $older := $root.Values.tcpSession | default dict -}}
{{- $start := coalesce ($stream.portRange).start ($older.portRange).start ($config.ports).start | default 0 | int -}}
{{- $end := coalesce ($stream.portRange).end ($older.portRange).end ($config.ports).end | default 0 | int -}}
{{- $static := list -}}
{{- range $name, $port := $config.static_ports -}}{{- $static = append $static (int $port) -}}{{- end -}}
{{- $service := dict -}}
{{- range $key, $value := $older.service -}}{{- $_ := set $service $key $value -}}{{- end -}}
{{- range $key, $value := $stream.service -}}
{{- if not (or (kindIs "invalid" $value) (and (empty $value) (not (kindIs "bool" $value)))) -}}{{- $_ := set $service $key $value -}}{{- end -}}
{{- end -}}
{{- dict
  "on" (or $start $end $static | not | not)
  "start" $start
  "end" $end
  "static" $static
  "address" (include "wicketgate.bareHost" (coalesce $stream.routerAddress $older.routerAddress))
  "type" ($service.type | default "NodePort")
  "service" $service
| toJson -}}
{{- end }}

{{/* Where the plugin directory's files come from, as names of ConfigMaps. */}}
{{- define "wicketgate.pluginSources" -}}
{{- $sources := list -}}
{{- with (.Values.plugins).files -}}
{{- $sources = append $sources (printf "%s-plugins" (include "wicketgate.fullname" $)) -}}
{{- end -}}
{{- range (.Values.plugins).existingConfigMaps -}}{{- $sources = append $sources . -}}{{- end -}}
{{- toJson ($sources | uniq) -}}
{{- end }}

{{- define "wicketgate.extraNames" -}}
{{- $names := list -}}
{{- range (.Values.router).extraEnvs -}}{{- $names = append $names .name -}}{{- end -}}
{{- toJson $names -}}
{{- end }}

{{/* How people reach the gateway: `host`, `hosts` (with the wildcard), `publicUrl`, `known` (whether the values say it). */}}
{{- define "wicketgate.http" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $ingress := $root.Values.ingress | default dict -}}
{{- $given := coalesce $ingress.hostName $ingress.hostname | default "" | toString -}}
{{- $external := $root.Values.externalURL | default $it.config.public_url | default "" | toString | trim | trimSuffix "/" -}}
{{- $host := include "wicketgate.bareHost" $given -}}
{{- if and (not $host) $external -}}
{{- $host = regexReplaceAll ":[0-9]+$" (include "wicketgate.bareHost" $external) "" -}}
{{- end -}}
{{- $base := include "wicketgate.bareHost" ($ingress.baseDomain | default $it.config.base_domain) -}}
{{- $secure := or $ingress.tlsSecretName ($root.Values.tls).secretName (hasPrefix "https://" $given) (hasKey ($ingress.annotations | default dict) "route.openshift.io/termination") | not | not -}}
{{- $known := or $external (and $host (or $ingress.enabled ($root.Values.httpRoute).enabled)) | not | not -}}
{{- $url := $external -}}
{{- if not $url -}}
{{- $inCluster := printf "%s.%s.svc" (include "wicketgate.fullname" $root) $root.Release.Namespace -}}
{{- $url = printf "%s://%s" ($secure | ternary "https" "http") ($known | ternary $host $inCluster) -}}
{{- end -}}
{{- $hosts := list $host -}}
{{- if $base -}}{{- $hosts = append $hosts (printf "*.%s" $base) -}}{{- end -}}
{{- dict "host" $host "baseDomain" $base "hosts" ($hosts | uniq) "publicUrl" $url "known" $known "className" (coalesce $ingress.className $ingress.ingressClassName | default "") | toJson -}}
{{- end }}
