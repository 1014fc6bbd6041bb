// triagebot serve: the program as it runs in production.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"
	"github.com/sirupsen/logrus"

	"triagebot/cmd/config"
)

func serveCommand(app *kingpin.Application) subcommand {
	cmd := app.Command("serve", "Receive Alertmanager's notifications and work them.")
	file := cmd.Flag("config.file", "The configuration; config.example.yaml has every option.").Default("triagebot.yaml").String()
	return subcommand{cmd.FullCommand(), func(ctx context.Context, _, stderr io.Writer) error {
		if _, err := os.Stat(*file); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--config.file: the file %s does not exist; write one as config.example.yaml shows, and say here where it is", *file)
		}
		cfg, err := config.Load(*file)
		if err != nil {
			return err
		}
		return serve(ctx, *file, cfg, newLog(stderr, cfg))
	}}
}

func serve(ctx context.Context, file string, cfg *config.Config, log *logrus.Logger) (err error) {
	log.WithFields(logrus.Fields{"version": version.Info(), "config": file}).Info("starting")
	a, err := newApp(ctx, file, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	stop := a.reloadOnHangup(ctx)
	defer stop()
	log.WithFields(logrus.Fields{"url": a.url(), "playbooks": len(a.live.get().playbooks.All())}).Info("ready for notifications")
	if a.local != nil {
		log.WithField("url", a.local.url()).Warn("no Slack token is configured: messages go to the local channel")
	}
	return a.run(ctx)
}

// reloadOnHangup reloads at each SIGHUP until the returned function is called.
func (a *app) reloadOnHangup(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-hangups:
				_ = a.reload() // logged there
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		cancel()
		<-done
	}
}

func newLog(w io.Writer, cfg *config.Config) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(w)
	if level, err := logrus.ParseLevel(cfg.Log.Level); err == nil { // checked when it was loaded
		log.SetLevel(level)
	}
	log.SetFormatter(&logrus.TextFormatter{DisableColors: true, FullTimestamp: true})
	if cfg.Log.Format == "json" {
		log.SetFormatter(&logrus.JSONFormatter{})
	}
	return log
}
