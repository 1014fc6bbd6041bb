// Package backend finds the records of a request in other homes than files:
// the logs of Loki and VictoriaLogs, the traces of Grafana Tempo and Jaeger.
//
// Read options.go and client.go first, then find.go, which is the search that
// all share: around the hinted time, then further back, piece by piece. Each
// backend's file says which documentation it holds to; docs/traces-backends.md
// says which was run against a real server.
package backend
