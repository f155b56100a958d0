// Definitions of objects that a cluster's own API doesn't have: HTTPRoute, ServiceMonitor, PrometheusRule. Nothing is built.
module definitions

go 1.26.0

require (
	github.com/prometheus-operator/prometheus-operator v0.85.0
	sigs.k8s.io/gateway-api v1.6.3
)
