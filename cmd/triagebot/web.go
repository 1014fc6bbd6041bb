// The HTTP server: the webhook, the evidence, and what the Prometheus family
// of programs serves about itself.

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"

	"triagebot/triage/command"
	"triagebot/triage/console"
	"triagebot/triage/evidence"
	"triagebot/triage/receive"
)

const (
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 10 * time.Second // for requests under way at the end
	maxHeaderSize = 64 << 10
)

// routes are all pages of the server.
func (a *app) routes() (http.Handler, error) {
	r := mux.NewRouter()
	auth := func() receive.Credentials { return a.live.get().credentials }
	receive.NewHandler(receive.Options{
		Ingester: a.committer, Auth: auth,
		MaxBody: int64(a.cfg.Server.MaxBody), MaxAlertnames: a.cfg.Server.MaxAlertnames, MaxConcurrent: a.cfg.Server.MaxConcurrent,
		BodyTimeout: time.Duration(a.cfg.Server.ReadTimeout),
		Log:         a.log, Registerer: a.registry,
	}).Register(r)
	// Without credentials to show, only a signed link opens evidence.
	authorized := func(r *http.Request) bool {
		return auth().Required() && auth().Shown(r) || a.cfg.Server.AsksWhoComes()
	}
	files, err := evidence.NewHandler(evidence.HandlerOptions{Store: a.bundles, Signer: a.signer, Log: a.log, Authorized: authorized})
	if err != nil {
		return nil, err
	}
	files.Register(r)
	console.New(console.Options{
		Store: a.db, Bundles: a.bundles, Signer: a.signer, Authorized: authorized, Parent: a.parent(), Log: a.log,
		Challenge: func() string {
			if auth().Username == "" {
				return "" // browsers know no bearer tokens
			}
			return `Basic realm="triagebot", charset="UTF-8"`
		},
	}).Register(r)
	command.Handler{HandlerOptions: command.HandlerOptions{
		Do: a.commands.Do, Token: func() string { return string(a.live.get().cfg.Access.CtlToken) }, Acts: a.db.Acts, Log: a.log,
	}}.Register(r)
	if a.inbound != nil && a.local == nil {
		a.inbound.Register(r)
	}
	r.Handle("/metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{Registry: a.registry})).Methods(http.MethodGet)
	r.HandleFunc("/-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "triagebot is healthy.") }).Methods(http.MethodGet, http.MethodHead)
	r.HandleFunc("/-/ready", a.serveReady).Methods(http.MethodGet, http.MethodHead)
	r.HandleFunc("/-/reload", func(w http.ResponseWriter, r *http.Request) {
		if !auth().Shown(r) {
			http.Error(w, "Show the credentials that the webhook asks for.", http.StatusUnauthorized)
			return
		}
		if err := a.reload(); err != nil {
			http.Error(w, "The old configuration goes on:\n"+err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "Reloaded.")
	}).Methods(http.MethodPost, http.MethodPut)
	r.HandleFunc("/", a.serveFront).Methods(http.MethodGet, http.MethodHead)
	return r, nil
}

// serveFront tells whoever opens the address in a browser where they are.
func (a *app) serveFront(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, `triagebot

  POST %-16s Alertmanager's webhook
  GET  %-16s the incidents
  GET  %-16s self-metrics
  GET  %-16s is the process alive
  GET  %-16s can it take notifications
  POST %-16s read the configuration again
`, receive.Path, "/incidents", "/metrics", "/-/healthy", "/-/ready", "/-/reload")
	if a.local != nil {
		fmt.Fprintf(w, "\nNo Slack token is configured; the local channel is at %s\n", a.local.url())
	}
}

// serveHTTP serves until ctx ends, then lets the requests under way end.
func (a *app) serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Duration(a.cfg.Server.ReadTimeout),
		WriteTimeout:      time.Duration(a.cfg.Server.WriteTimeout),
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderSize,
	}
	failed := make(chan error, 1)
	go func() {
		failed <- web.Serve(listener, server, &web.FlagConfig{WebConfigFile: &a.cfg.Server.WebConfigFile}, a.slog)
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err := server.Shutdown(drain)
	if served := <-failed; err == nil && !errors.Is(served, http.ErrServerClosed) {
		err = served
	}
	return err
}

// listenURL is how people reach a listener on this machine.
func listenURL(l net.Listener, secure bool) string {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return scheme + "://" + l.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + strings.TrimSuffix(net.JoinHostPort(host, port), ":")
}
