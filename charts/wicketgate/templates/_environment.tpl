{{/*
What the values say, as variables over the configuration file. One is set only where a value is given, so that the file stays in
force elsewhere; of two that mean one key, what router.extraEnvs says counts, whether by our names or by those of the commercial
gateway. Called by the Deployment with `list <root> <settings>`.
*/}}

{{- define "wicketgate.environment" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $plain := include "wicketgate.environment.plain" . | fromJson -}}
{{- $secret := include "wicketgate.environment.secret" . | fromJson -}}
{{- range $name := concat (keys $plain) (keys $secret) | sortAlpha }}
{{- if not (include "wicketgate.environment.taken" (list $name $it.extraNames)) }}
- name: {{ $name }}
{{- with get $secret $name }}
  valueFrom:
    secretKeyRef: {{ toJson . }}
{{- else }}
  value: {{ get $plain $name | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- range ($root.Values.router).extraEnvs }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}
{{- end }}

{{/* Texts by variable. */}}
{{- define "wicketgate.environment.plain" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $clearml := $root.Values.clearml | default dict -}}
{{- $config := $it.config -}}
{{- $env := dict "WICKETGATE_NAME" $root.Release.Name "WICKETGATE_PUBLIC_URL" $it.http.publicUrl -}}
{{- if not ($config.http).listen -}}{{- $_ := set $env "WICKETGATE_HTTP__LISTEN" "0.0.0.0:8080" -}}{{- end -}}
{{- if not ($config.admin).listen -}}{{- $_ := set $env "WICKETGATE_ADMIN__LISTEN" "0.0.0.0:9090" -}}{{- end -}}
{{- if kindIs "invalid" ($config.shutdown).delay_s -}}
{{- $_ := set $env "WICKETGATE_SHUTDOWN__DELAY_S" (toString $it.shutdown.delay) -}}
{{- end -}}
{{- with ($root.Values.ingress).baseDomain -}}{{- $_ := set $env "WICKETGATE_BASE_DOMAIN" $it.http.baseDomain -}}{{- end -}}
{{- with $clearml.apiServerUrlReference -}}{{- $_ := set $env "WICKETGATE_CLEARML__API_URL" . -}}{{- end -}}
{{- with $clearml.authCookieName -}}{{- $_ := set $env "WICKETGATE_LOGIN__ACCEPT_COOKIES" (list . | toJson) -}}{{- end -}}
{{- with $clearml.sslVerify | toString -}}
{{- if has . (list "true" "false") -}}{{- $_ := set $env "WICKETGATE_CLEARML__SSL_VERIFY" . -}}{{- end -}}
{{- end -}}
{{- with $clearml.queues -}}{{- $_ := set $env "WICKETGATE_CLEARML__QUEUES" (toJson .) -}}{{- end -}}
{{- with $it.tcp.address -}}{{- $_ := set $env "WICKETGATE_TCP__ADDRESS" . -}}{{- end -}}
{{- with int $it.tcp.start -}}
{{- $_ := set $env "WICKETGATE_TCP__PORTS__START" (toString .) -}}
{{- $_ := set $env "WICKETGATE_TCP__PORTS__END" (int $it.tcp.end | toString) -}}
{{- end -}}
{{- with ($root.Values.tls).secretName -}}
{{- if not ($config.tls).listen -}}{{- $_ := set $env "WICKETGATE_TLS__LISTEN" "0.0.0.0:8443" -}}{{- end -}}
{{- $_ := set $env "WICKETGATE_TLS__CERTIFICATES" (list (dict "certificate" "/etc/wicketgate/tls/tls.crt" "key" "/etc/wicketgate/tls/tls.key") | toJson) -}}
{{- end -}}
{{- if $it.plugins -}}{{- $_ := set $env "WICKETGATE_PLUGINS__DIRECTORY" "/etc/wicketgate/plugins" -}}{{- end -}}
{{- if ($root.Values.plugins).watch -}}{{- $_ := set $env "WICKETGATE_PLUGINS__CONFIG_MAPS" (toJson $it.plugins) -}}{{- end -}}
{{- with ($root.Values.plugins).pullSecrets -}}
{{- $files := list -}}
{{- range . -}}{{- $files = append $files (printf "/etc/wicketgate/pull/%s/.dockerconfigjson" .) -}}{{- end -}}
{{- $_ := set $env "WICKETGATE_PLUGINS__PULL_SECRETS" (toJson $files) -}}
{{- end -}}
{{- if $it.state -}}{{- $_ := set $env "WICKETGATE_PLUGINS__STATE_DIRECTORY" "/var/lib/wicketgate" -}}{{- end -}}
{{- if $it.kubernetes.enabled -}}{{- $_ := set $env "WICKETGATE_KUBERNETES__NAMESPACE" $it.kubernetes.namespace -}}{{- end -}}
{{- $certificates := $root.Values.customCertificates | default dict -}}
{{- if $certificates.overrideCaCertificatesCrt -}}{{- $_ := set $env "SSL_CERT_FILE" "/etc/wicketgate/ca/ca-certificates.crt" -}}{{- end -}}
{{- with $certificates.extraCerts -}}
{{- $files := ($config.tls).extra_ca | default list -}}
{{- range . -}}{{- $files = append $files (printf "/etc/wicketgate/ca/%s" (include "wicketgate.certificateFile" .alias)) -}}{{- end -}}
{{- $_ := set $env "WICKETGATE_TLS__EXTRA_CA" (toJson $files) -}}
{{- end -}}
{{- toJson $env -}}
{{- end }}

{{/* References to Secrets by variable. What may be missing there is optional. */}}
{{- define "wicketgate.environment.secret" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $clearml := $it.clearml -}}
{{- $env := dict -}}
{{- range $key, $variable := dict "accessKey" "WICKETGATE_CLEARML__ACCESS_KEY" "secretKey" "WICKETGATE_CLEARML__SECRET_KEY" "tokenSecret" "WICKETGATE_CLEARML__TOKEN_SECRET" -}}
{{- $reference := dict "name" $clearml.objectName "key" (get $clearml.keyNames $key) -}}
{{- if and $clearml.existing (eq $key "tokenSecret") -}}
{{- $_ := set $env $variable (set $reference "optional" true) -}}
{{- else if or $clearml.existing (hasKey $clearml.inValues $key) -}}
{{- $_ := set $env $variable $reference -}}
{{- end -}}
{{- end -}}
{{- $name := include "wicketgate.secretName" $root -}}
{{- if not ($it.config.login).secret -}}
{{- $_ := set $env "WICKETGATE_LOGIN__SECRET" (dict "name" $name "key" "login-secret") -}}
{{- end -}}
{{- if not ($it.config.admin).token -}}
{{- $_ := set $env "WICKETGATE_ADMIN__TOKEN" (dict "name" $name "key" "admin-token" "optional" true) -}}
{{- end -}}
{{- toJson $env -}}
{{- end }}

{{/* Whether router.extraEnvs says what a variable says: `list <variable> <names>`; `true` or nothing. */}}
{{- define "wicketgate.environment.taken" -}}
{{- $commercial := dict
  "WICKETGATE_PUBLIC_URL" (list "ROUTER_URL")
  "WICKETGATE_CLEARML__API_URL" (list "CLEARML_API_HOST")
  "WICKETGATE_CLEARML__ACCESS_KEY" (list "CLEARML_API_ACCESS_KEY")
  "WICKETGATE_CLEARML__SECRET_KEY" (list "CLEARML_API_SECRET_KEY")
  "WICKETGATE_CLEARML__TOKEN_SECRET" (list "AUTH_BASE64_JWKS_KEY")
  "WICKETGATE_CLEARML__SSL_VERIFY" (list "SSL_VERIFY")
  "WICKETGATE_CLEARML__QUEUES" (list "LISTEN_QUEUE_NAME")
  "WICKETGATE_LOGIN__ACCEPT_COOKIES" (list "AUTH_COOKIE_NAME")
  "WICKETGATE_TCP__ADDRESS" (list "ROUTER__STREAM__EXTERNAL_URL" "STREAM_ROUTER_ADDRESS" "TCP_ROUTER_ADDRESS")
-}}
{{- $name := index . 0 -}}
{{- $extra := index . 1 -}}
{{- if has $name $extra -}}true
{{- else -}}
{{- $found := false -}}
{{- range get $commercial $name | default list -}}{{- if has . $extra -}}{{- $found = true -}}{{- end -}}{{- end -}}
{{- if $found -}}true{{- end -}}
{{- end -}}
{{- end }}

{{- define "wicketgate.secretName" -}}
{{- (.Values.secret).existingSecret | default (include "wicketgate.fullname" .) -}}
{{- end }}

{{/* An alias as a file's name. */}}
{{- define "wicketgate.certificateFile" -}}
{{- regexReplaceAll "[^A-Za-z0-9_-]+" (toString .) "-" | trimSuffix "-" }}.pem
{{- end }}
