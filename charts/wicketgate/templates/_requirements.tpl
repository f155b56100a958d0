{{/*
Rules between values. Each fails with one sentence: which value, what was found, what was expected. Called by
"wicketgate.settings" with `list <root> <settings>`; types and words alone are the schema's business.
*/}}

{{/*
Ports of one Service: as many as a cluster has node ports by default. What comes first beyond that is the annotation of
`kubectl apply`, in which a Service's ports travel as JSON: 194 kB for these, and all annotations of an object may have 262144 bytes
(TotalAnnotationSizeLimitB in k8s.io/apimachinery). The API server takes 10000 and not 18000 (measured with Kubernetes 1.36: 2 MiB
for a message to etcd); EndpointSlices take 20000 since Kubernetes 1.21 (kubernetes/kubernetes#99795).
*/}}
{{- define "wicketgate.mostPorts" -}}2768{{- end }}

{{/* Bytes of plugins.files: they are in the release's Secret twice, as values and as a manifest, and it may have 1 MiB. */}}
{{- define "wicketgate.mostPluginBytes" -}}307200{{- end }}

{{- define "wicketgate.requirements" -}}
{{- range list "names" "credentials" "addresses" "ports" "nodePorts" "plugins" "kubernetes" "certificates" "environment" -}}
{{- $_ := include (printf "wicketgate.requirements.%s" .) $ -}}
{{- end -}}
{{- end }}

{{- define "wicketgate.requirements.names" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- with $it.config.name -}}
{{- if ne (toString .) $root.Release.Name -}}
{{- fail (printf "config.name is %q, but a gateway's name is its release's, %q: leave it out" (toString .) $root.Release.Name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "wicketgate.requirements.credentials" -}}
{{- $root := index . 0 -}}
{{- $clearml := (index . 1).clearml -}}
{{- if or $clearml.url $clearml.key $clearml.secret -}}
{{- if not $clearml.url -}}
{{- fail "clearml.apiServerUrlReference is empty, and credentials of a ClearML server are given: expected the URL of its API, such as http://clearml-apiserver:8008" -}}
{{- end -}}
{{- if not (and $clearml.key $clearml.secret) -}}
{{- $missing := list -}}
{{- if not $clearml.key -}}{{- $missing = append $missing "clearml.apiKey" -}}{{- end -}}
{{- if not $clearml.secret -}}{{- $missing = append $missing "clearml.apiSecret" -}}{{- end -}}
{{- $verb := gt (len $missing) 1 | ternary "are" "is" -}}
{{- fail (printf "%s %s missing: expected credentials of an administrator of the ClearML server, or their Secret's name in clearml.existingSecret" (join " and " $missing) $verb) -}}
{{- end -}}
{{- end -}}
{{- if and $clearml.existing $clearml.inValues -}}
{{- fail (printf "clearml.existingSecret is %q, and credentials are given as values too: expected one of both" $clearml.existing) -}}
{{- end -}}
{{- with ($root.Values.clearml).apiServerUrlReference -}}
{{- if not (regexMatch "^https?://(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?(/[A-Za-z0-9/_.-]*)?$" .) -}}
{{- fail (printf "clearml.apiServerUrlReference is %q: expected http:// or https:// and the API server's host" .) -}}
{{- end -}}
{{- end -}}
{{- $secret := $root.Values.secret | default dict -}}
{{- if and $secret.existingSecret (or $secret.loginSecret $secret.adminToken) -}}
{{- fail (printf "secret.existingSecret is %q, and secret.loginSecret or secret.adminToken is given too: expected one of both" $secret.existingSecret) -}}
{{- end -}}
{{- if and $secret.loginSecret (lt (len (toString $secret.loginSecret)) 32) -}}
{{- fail (printf "secret.loginSecret has %d characters: expected at least 32, best from a random generator" (len (toString $secret.loginSecret))) -}}
{{- end -}}
{{- end }}

{{- define "wicketgate.requirements.addresses" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $name := "^([a-z0-9]([-a-z0-9]*[a-z0-9])?\\.)*[a-z0-9]([-a-z0-9]*[a-z0-9])?$" -}}
{{- $address := "^[0-9.]+$" -}}
{{- with $it.http.publicUrl -}}
{{- if not (regexMatch "^https?://(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?$" .) -}}
{{- fail (printf "externalURL is %q: expected http:// or https://, a host and perhaps a port, and no path" .) -}}
{{- end -}}
{{- end -}}
{{- $ingress := or ($root.Values.ingress).enabled ($root.Values.httpRoute).enabled -}}
{{- with $it.http.host -}}
{{- if and $ingress (or (not (regexMatch $name .)) (regexMatch $address .)) -}}
{{- fail (printf "ingress.hostName is %q: expected a DNS name without port and path; what people use besides it belongs into externalURL" .) -}}
{{- end -}}
{{- else -}}
{{- if $ingress -}}
{{- fail "ingress.hostName is empty: expected the name under which people reach the gateway, such as gate.example.org" -}}
{{- end -}}
{{- end -}}
{{- with $it.http.baseDomain -}}
{{- if not (regexMatch $name .) -}}
{{- fail (printf "ingress.baseDomain is %q: expected a DNS name without wildcard, such as gate.example.org" .) -}}
{{- end -}}
{{- end -}}
{{- with $it.tcp.address -}}
{{- if not (or (regexMatch "^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$" .) (regexMatch "^\\[?[0-9a-f:]*:[0-9a-f:.]*:[0-9a-f:.]*\\]?$" .)) -}}
{{- fail (printf "streamSession.routerAddress is %q: expected a host's name or an address, without port and path" .) -}}
{{- end -}}
{{- end -}}
{{- if and ($root.Values.httpRoute).enabled (not ($root.Values.httpRoute).parentRefs) -}}
{{- fail "httpRoute.parentRefs is empty: expected the Gateways that carry the route, such as [{name: public}]" -}}
{{- end -}}
{{- end }}

{{- define "wicketgate.requirements.ports" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $tcp := $it.tcp -}}
{{- $start := int $tcp.start -}}
{{- $end := int $tcp.end -}}
{{- if ne (eq $start 0) (eq $end 0) -}}
{{- fail (printf "streamSession.portRange has only its %s: expected both, or none to leave TCP off" (eq $start 0 | ternary "end" "start")) -}}
{{- end -}}
{{- if gt $start $end -}}
{{- fail (printf "streamSession.portRange is %d to %d: expected a start up to the end" $start $end) -}}
{{- end -}}
{{- if or (lt $start 0) (gt $end 65535) -}}
{{- fail (printf "streamSession.portRange is %d to %d: expected ports from 1 to 65535" $start $end) -}}
{{- end -}}
{{- range $tcp.static -}}
{{- if and (ge (int .) $start) (le (int .) $end) -}}
{{- fail (printf "streamSession.portRange holds %d of config.tcp.static_ports: expected ports of their own" (int .)) -}}
{{- end -}}
{{- end -}}
{{- range $name, $port := $it.ports -}}
{{- if and (ge (int $port) $start) (le (int $port) $end) -}}
{{- fail (printf "streamSession.portRange is %d to %d, which holds the gateway's own %s port %d: expected other ports" $start $end $name (int $port)) -}}
{{- end -}}
{{- end -}}
{{- $count := len $tcp.static -}}
{{- if $start -}}{{- $count = add $count (sub $end $start) 1 | int -}}{{- end -}}
{{- $most := include "wicketgate.mostPorts" . | int -}}
{{- if gt $count $most -}}
{{- fail (printf "streamSession.portRange makes %d ports: expected at most %d, which is what one Service can have" $count $most) -}}
{{- end -}}
{{- range $section := list "http" "admin" "tls" -}}
{{- with (get $it.config $section | default dict).listen -}}
{{- if regexMatch "^(127[.]|[[]::1[]])" . -}}
{{- fail (printf "config.%s.listen is %q: expected an address that kubelets and Prometheus reach, such as 0.0.0.0:%s" $section . (splitList ":" . | last)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $ports := values $it.ports -}}
{{- if ne (len $ports) (len (uniq $ports)) -}}
{{- fail "config has one port for two listeners: expected http.listen, admin.listen and tls.listen to have each its own" -}}
{{- end -}}
{{- end }}

{{- define "wicketgate.requirements.nodePorts" -}}
{{- $root := index . 0 -}}
{{- $tcp := (index . 1).tcp -}}
{{- $range := $root.Values.nodePortRange | default dict -}}
{{- $first := $range.start | default 30000 | int -}}
{{- $last := $range.end | default 32767 | int -}}
{{- $expected := printf "expected ports from %d to %d, the cluster's node ports (nodePortRange)" $first $last -}}
{{- if and $tcp.on (eq $tcp.type "NodePort") -}}
{{- if and (int $tcp.start) (or (lt (int $tcp.start) $first) (gt (int $tcp.end) $last)) -}}
{{- fail (printf "streamSession.portRange is %d to %d with the type NodePort: %s" (int $tcp.start) (int $tcp.end) $expected) -}}
{{- end -}}
{{- range $tcp.static -}}
{{- if or (lt (int .) $first) (gt (int .) $last) -}}
{{- fail (printf "config.tcp.static_ports has %d with the type NodePort: %s" (int .) $expected) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $port := include "wicketgate.httpNodePorts" . | fromJson -}}
{{- $key := eq $name "http" | ternary "nodePort" "httpsNodePort" -}}
{{- with int $port -}}
{{- if or (lt . $first) (gt . $last) -}}
{{- fail (printf "service.%s is %d: %s" $key . $expected) -}}
{{- end -}}
{{- if and (int $tcp.start) (ge . (int $tcp.start)) (le . (int $tcp.end)) (eq $tcp.type "NodePort") -}}
{{- fail (printf "service.%s is %d, which is in streamSession.portRange: expected another" $key .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "wicketgate.requirements.plugins" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $plugins := $root.Values.plugins | default dict -}}
{{- $bytes := 0 -}}
{{- range $name, $text := $plugins.files -}}
{{- if not (regexMatch "^[A-Za-z0-9_][A-Za-z0-9._-]{0,252}$" $name) -}}
{{- fail (printf "plugins.files has the name %q: expected a file's name of letters, digits, `-`, `_` and `.`" $name) -}}
{{- end -}}
{{- $packed := hasSuffix ".wasm.zst" $name -}}
{{- if or (hasSuffix ".wasm" $name) $packed -}}
{{- $base64 := regexReplaceAll "\\s" (toString $text) "" -}}
{{- if not (regexMatch (printf "^%s[A-Za-z0-9+/]+={0,2}$" (ternary "KLUv/" "AGFzb" $packed)) $base64) -}}
{{- fail (printf "plugins.files.%s isn't a component in base64: expected what `base64 <%s` prints" $name $name) -}}
{{- end -}}
{{- $bytes = add $bytes (len (b64dec $base64)) -}}
{{- else -}}
{{- $bytes = add $bytes (len (toString $text)) -}}
{{- end -}}
{{- end -}}
{{- $most := include "wicketgate.mostPluginBytes" . | int -}}
{{- if gt (int $bytes) $most -}}
{{- fail (printf "plugins.files has %d bytes: expected at most %d (300 KiB), because values and manifests travel in the release's Secret; put larger files into ConfigMaps of their own and name these in plugins.existingConfigMaps" (int $bytes) $most) -}}
{{- end -}}
{{- if and $plugins.files (not $plugins.existingConfigMaps) (not (hasKey $plugins.files "plugins.yaml")) -}}
{{- fail "plugins.files has no plugins.yaml: expected the manifest that says which plugins decide" -}}
{{- end -}}
{{- if ($it.config.plugins).config_maps -}}
{{- fail "config.plugins.config_maps is given: expected plugins.existingConfigMaps and plugins.watch, from which volume and Role are made as well" -}}
{{- end -}}
{{- if and $plugins.pullSecrets ($it.config.plugins).pull_secrets -}}
{{- fail "config.plugins.pull_secrets is given: expected plugins.pullSecrets, from which they are mounted as well" -}}
{{- end -}}
{{- $state := $plugins.state | default dict -}}
{{- if and $state.existingClaim ($it.config.plugins).state_directory -}}
{{- fail (printf "plugins.state.existingClaim is %q and config.plugins.state_directory is given too: expected one of both" $state.existingClaim) -}}
{{- end -}}
{{- $replicas := $root.Values.replicaCount | default 0 | int -}}
{{- if ($root.Values.autoscaling).enabled -}}{{- $replicas = $root.Values.autoscaling.maxReplicas | default 0 | int -}}{{- end -}}
{{- if and $state.existingClaim (gt $replicas 1) -}}
{{- fail (printf "plugins.state.existingClaim is %q with up to %d replicas: expected at most one, because a state directory is one gateway's own" $state.existingClaim $replicas) -}}
{{- end -}}
{{- if and $plugins.watch (not $it.plugins) -}}
{{- fail "plugins.watch is true and there is nothing to watch: expected plugins.files or plugins.existingConfigMaps" -}}
{{- end -}}
{{- end }}

{{- define "wicketgate.requirements.kubernetes" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $enabled := $it.kubernetes.enabled -}}
{{- $replicas := $root.Values.replicaCount | default 0 | int -}}
{{- if ($root.Values.autoscaling).enabled -}}
{{- $replicas = $root.Values.autoscaling.maxReplicas | default 0 | int -}}
{{- $least := $root.Values.autoscaling.minReplicas | default 0 | int -}}
{{- if gt $least $replicas -}}
{{- fail (printf "autoscaling.minReplicas is %d and maxReplicas %d: expected a minimum up to the maximum" $least $replicas) -}}
{{- end -}}
{{- end -}}
{{- if and (not $enabled) (gt $replicas 1) -}}
{{- fail (printf "kubernetes.enabled is false with up to %d replicas: expected at most one, because without the Kubernetes API no leader is elected" $replicas) -}}
{{- end -}}
{{- if and (not $enabled) (hasKey $it.config "kubernetes") -}}
{{- fail "kubernetes.enabled is false and config.kubernetes is given: expected one of both" -}}
{{- end -}}
{{- if and (not $enabled) ($root.Values.plugins).watch -}}
{{- fail "plugins.watch needs the Kubernetes API, and kubernetes.enabled is false" -}}
{{- end -}}
{{- if and ($root.Values.plugins).watch (ne $it.kubernetes.namespace $root.Release.Namespace) -}}
{{- fail (printf "plugins.watch watches ConfigMaps in config.kubernetes.namespace, %q, and those of the release are in %q: expected the same namespace, or plugins.watch off" $it.kubernetes.namespace $root.Release.Namespace) -}}
{{- end -}}
{{- $budget := $root.Values.podDisruptionBudget | default dict -}}
{{- if and $budget.enabled (kindIs "invalid" $budget.minAvailable) (kindIs "invalid" $budget.maxUnavailable) -}}
{{- fail "podDisruptionBudget has neither minAvailable nor maxUnavailable: expected one of both" -}}
{{- end -}}
{{- end }}

{{- define "wicketgate.requirements.certificates" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $certificates := $root.Values.customCertificates | default dict -}}
{{- with $certificates.overrideCaCertificatesCrt -}}
{{- if not (contains "-----BEGIN CERTIFICATE-----" .) -}}
{{- fail "customCertificates.overrideCaCertificatesCrt has no PEM certificate: expected -----BEGIN CERTIFICATE----- in it" -}}
{{- end -}}
{{- end -}}
{{- $seen := dict -}}
{{- range $certificates.extraCerts -}}
{{- if not (contains "-----BEGIN CERTIFICATE-----" (.pem | default "")) -}}
{{- fail (printf "customCertificates.extraCerts: %q has no PEM certificate: expected -----BEGIN CERTIFICATE----- in its pem" .alias) -}}
{{- end -}}
{{- $file := include "wicketgate.certificateFile" .alias -}}
{{- if hasKey $seen $file -}}
{{- fail (printf "customCertificates.extraCerts has the alias %q twice: expected each once" .alias) -}}
{{- end -}}
{{- $_ := set $seen $file true -}}
{{- end -}}
{{- if and ($root.Values.tls).secretName (($it.config.tls).certificates) -}}
{{- fail (printf "tls.secretName is %q and config.tls.certificates is given too: expected one of both" $root.Values.tls.secretName) -}}
{{- end -}}
{{- end }}

{{/* Variables whose value other objects are made from must be said where the chart reads them. */}}
{{- define "wicketgate.requirements.environment" -}}
{{- $it := index . 1 -}}
{{- $seen := dict -}}
{{- range $name := $it.extraNames -}}
{{- if hasKey $seen $name -}}
{{- fail (printf "router.extraEnvs has %s twice: expected each variable once" $name) -}}
{{- end -}}
{{- $_ := set $seen $name true -}}
{{- range $variable, $place := dict
  "WICKETGATE_NAME" "the release's name"
  "WICKETGATE_HTTP__LISTEN" "config.http.listen"
  "WICKETGATE_ADMIN__LISTEN" "config.admin.listen"
  "WICKETGATE_TLS__LISTEN" "config.tls.listen"
  "WICKETGATE_TCP__PORTS__START" "streamSession.portRange.start"
  "WICKETGATE_TCP__PORTS__END" "streamSession.portRange.end"
  "WICKETGATE_SHUTDOWN__DELAY_S" "config.shutdown.delay_s"
  "WICKETGATE_SHUTDOWN__DRAIN_S" "config.shutdown.drain_s"
  "WICKETGATE_PLUGINS__DIRECTORY" "plugins"
  "WICKETGATE_PLUGINS__CONFIG_MAPS" "plugins.watch"
  "WICKETGATE_PLUGINS__PULL_SECRETS" "plugins.pullSecrets"
  "WICKETGATE_KUBERNETES__NAMESPACE" "config.kubernetes.namespace"
  "WICKETGATE_KUBERNETES__ELECTION__LEASE" "config.kubernetes.election.lease"
  "WICKETGATE_KUBERNETES__PODS__AGENT" "config.kubernetes.pods.agent"
  "WICKETGATE_KUBERNETES__PODS__ANNOTATED" "config.kubernetes.pods.annotated"
-}}
{{- if eq $name $variable -}}
{{- fail (printf "router.extraEnvs has %s: expected it in %s, from which other objects are made as well" $name $place) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
