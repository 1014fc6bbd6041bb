// triagebot check slack: whether the Slack app is set up as triagebot needs it.

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"triagebot/cmd/config"
	"triagebot/notifiers/slack"
)

const checkSlackTimeout = time.Minute

func checkSlackCommand(check *kingpin.CmdClause) subcommand {
	cmd := check.Command("slack", "Ask Slack whether the app is set up as triagebot needs it: token, scopes, channels, and how people are heard. Changes nothing; exit status 1 when something will not work.")
	file := cmd.Flag("config.file", "The configuration.").Default("triagebot.yaml").String()
	return subcommand{cmd.FullCommand(), func(ctx context.Context, stdout, stderr io.Writer) error {
		cfg, err := config.Load(*file)
		if err != nil {
			fmt.Fprintln(stderr, err)
			return exitError(1)
		}
		if cfg.Slack.Token == "" {
			fmt.Fprintf(stderr, "%s sets no slack.token_file, so messages go to the local channel and there is no app to look at; docs/slack.md has the way to one\n", *file)
			return exitError(1)
		}
		ctx, cancel := context.WithTimeout(ctx, checkSlackTimeout)
		defer cancel()
		return sayExamined(stdout, slack.Examine(ctx, slack.ExamineOptions{
			Token: string(cfg.Slack.Token), AppToken: string(cfg.Slack.AppToken), SigningSecret: string(cfg.Slack.SigningSecret),
			APIURL: cfg.Slack.APIURL, HTTPClient: &http.Client{Timeout: time.Duration(cfg.Slack.Timeout)}, Channels: slackChannels(cfg),
		}))
	}}
}

// sayExamined prints findings; the error is exitError(1) where one of them is an error.
func sayExamined(w io.Writer, found []slack.Examined) error {
	wrong := 0
	for _, f := range found {
		fmt.Fprintf(w, "%-8s %s\n", f.Grade, f.What)
		if f.Do != "" {
			fmt.Fprintf(w, "%-8s → %s\n", "", f.Do)
		}
		if f.Grade == slack.Wrong {
			wrong++
		}
	}
	if wrong > 0 {
		return exitError(1)
	}
	return nil
}
