// The local channel: the Slack workspace inside the process, where there is no
// Slack token.

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"triagebot/notifiers/slack/inbound"
	"triagebot/notifiers/slack/slacklocal"
)

// localToken is what the Slack notifier shows the local channel. It is no
// secret: the channel listens on loopback and guards nothing.
const localToken = "xoxb-local"

// localChannel is the Slack workspace inside the process.
type localChannel struct {
	workspace *slacklocal.Workspace
	listener  net.Listener
	routes    *mux.Router // the workspace's, and where it sends what people do
}

func newLocalChannel(listen, journal string, names []string) (*localChannel, error) {
	listener, err := slacklocal.ListenLocal(listen)
	if err != nil {
		return nil, fmt.Errorf("slack.local.listen: %w", err)
	}
	workspace, err := slacklocal.New(slacklocal.Options{Journal: journal, Channels: names, Token: localToken})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return &localChannel{workspace, listener, mux.NewRouter()}, nil
}

// listen has what people do in the channel come in as from Slack: over HTTP and
// signed, with a secret of this process only.
func (l *localChannel) listen(opts inbound.Options) (*inbound.Inbound, error) {
	opts.SigningSecret, opts.APIURL = rand.Text(), l.url()+"/api/"
	in, err := inbound.New(opts)
	if err != nil {
		return nil, err
	}
	in.Register(l.routes)
	return in, l.workspace.SetApp(&slacklocal.App{
		CommandsURL: l.url() + inbound.CommandsPath, InteractionsURL: l.url() + inbound.InteractionsPath,
		EventsURL: l.url() + inbound.EventsPath, SigningSecret: opts.SigningSecret,
	})
}

func (l *localChannel) url() string { return "http://" + l.listener.Addr().String() }

// run serves the workspace until ctx ends.
func (l *localChannel) run(ctx context.Context) error {
	l.routes.PathPrefix("/").Handler(l.workspace.Handler())
	server := &http.Server{Handler: l.routes, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: idleTimeout}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("local channel: %w", err)
	case <-ctx.Done():
	}
	err := l.workspace.Close() // ends the live pages, so that Shutdown has nothing to wait for
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err = errors.Join(err, server.Shutdown(drain))
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func (l *localChannel) close() error {
	err := l.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, l.workspace.Close())
}
