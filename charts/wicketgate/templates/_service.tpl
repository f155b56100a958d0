{{/*
What both outer Services have in common: `list <root> <its values> <type>`.
*/}}
{{- define "wicketgate.serviceSpec" -}}
{{- $values := index . 1 -}}
{{- $type := index . 2 -}}
type: {{ $type }}
selector:
  {{- include "wicketgate.selector" (index . 0) | nindent 2 }}
{{- if eq $type "LoadBalancer" }}
{{- with $values.loadBalancerClass }}
loadBalancerClass: {{ . }}
{{- end }}
{{- with $values.loadBalancerSourceRanges }}
loadBalancerSourceRanges: {{ toJson . }}
{{- end }}
{{- if kindIs "bool" $values.allocateLoadBalancerNodePorts }}
allocateLoadBalancerNodePorts: {{ $values.allocateLoadBalancerNodePorts }}
{{- end }}
{{- end }}
{{- if ne $type "ClusterIP" }}
{{- with $values.externalTrafficPolicy }}
externalTrafficPolicy: {{ . }}
{{- end }}
{{- end }}
{{- with $values.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- end }}

{{/*
Node ports of the HTTP Service, where they are known: the port that is published is the node's port as well.
*/}}
{{- define "wicketgate.httpNodePorts" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $service := $root.Values.service | default dict -}}
{{- $found := dict -}}
{{- if ne ($service.type | default "ClusterIP") "ClusterIP" -}}
{{- range $name, $given := dict "http" $service.nodePort "https" $service.httpsNodePort -}}
{{- if $given -}}{{- $_ := set $found $name (int $given) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq ($service.type | default "") "NodePort" -}}
{{- $range := $root.Values.nodePortRange | default dict -}}
{{- $scheme := splitList "://" $it.http.publicUrl | first -}}
{{- $port := regexFind ":[0-9]+$" $it.http.publicUrl | trimPrefix ":" | default "0" | int -}}
{{- $inRange := and (ge $port ($range.start | default 30000 | int)) (le $port ($range.end | default 32767 | int)) -}}
{{- if and $inRange (not (hasKey $found $scheme)) (or (eq $scheme "http") $it.ports.https) -}}
{{- $_ := set $found $scheme $port -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}
