// triagebot ctl: what people ask in Slack, by the command line of whoever holds
// the token.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"triagebot/triage"
	"triagebot/triage/command"
	"triagebot/triage/safetext"
	"triagebot/triage/tracelog"
)

// ctlTokenEnv is where the token is looked for without --token-file.
const ctlTokenEnv = "TRIAGEBOT_CTL_TOKEN"

const (
	ctlTimeout = 30 * time.Second
	maxAnswer  = 8 << 20
)

// ctlServer is a running triagebot.
type ctlServer struct {
	url       string
	tokenFile string
}

func (s *ctlServer) register(cmd *kingpin.CmdClause) {
	cmd.Flag("url", "The running triagebot.").Default("http://localhost:9095").StringVar(&s.url)
	cmd.Flag("token-file", "A file with the token of access.ctl_token_file. Default: the environment variable "+ctlTokenEnv+".").PlaceHolder("FILE").StringVar(&s.tokenFile)
}

func ctlCommand(app *kingpin.Application) subcommand {
	cmd := app.Command("ctl", "Ask a running triagebot what may be asked of it in Slack: triagebot ctl triage incidents, triagebot ctl maintenance status. Exit status: 0 done, 1 refused or failed, 2 not understood.")
	var server ctlServer
	server.register(cmd)
	as := cmd.Flag("as", "Who asks, for the audit log. Default: your name on this machine.").PlaceHolder("NAME").String()
	output := cmd.Flag("output", "text or json.").Short('o').Default("text").Enum("text", "json")
	words := cmd.Arg("command", "The command; help lists them.").Required().Strings()
	return subcommand{cmd.FullCommand(), func(ctx context.Context, stdout, stderr io.Writer) error {
		asked := command.Asked{As: *as, Text: strings.Join(*words, " ")}
		if first := strings.TrimPrefix((*words)[0], "/"); first != "triage" && first != "maintenance" {
			asked.Text = "triage " + asked.Text
		}
		if asked.As == "" {
			if u, err := user.Current(); err == nil {
				asked.As = u.Username
			}
		}
		body, err := json.Marshal(asked)
		if err != nil {
			return err
		}
		answer, err := server.call(ctx, http.MethodPost, command.CommandsPath, bytes.NewReader(body))
		if err != nil {
			return err
		}
		var reply triage.Reply
		if err := json.Unmarshal(answer, &reply); err != nil {
			return fmt.Errorf("%s did not answer as triagebot does", server.url)
		}
		if *output == "json" {
			if err := tracelog.WriteIndentedJSON(stdout, reply); err != nil {
				return err
			}
		} else {
			writeReply(stdout, reply)
		}
		switch reply.Outcome {
		case triage.OutcomeUnclear:
			return exitError(2)
		case triage.OutcomeRefused, triage.OutcomeFailed:
			return exitError(1)
		case triage.OutcomeDone:
		}
		return nil
	}}
}

// writeReply writes an answer for a person.
func writeReply(w io.Writer, r triage.Reply) {
	fmt.Fprintln(w, tracelog.Harmless(r.Text))
	for _, line := range r.Lines {
		fmt.Fprintln(w, "  "+tracelog.Harmless(line))
	}
	for _, l := range r.Links {
		fmt.Fprintf(w, "  %s: %s\n", tracelog.Harmless(l.Title), tracelog.Harmless(l.URL))
	}
	for _, c := range r.Choices {
		if c.Command != "" {
			fmt.Fprintf(w, "  %s: triagebot ctl %s\n", tracelog.Harmless(c.Label), tracelog.Harmless(c.Command))
		}
	}
}

// call asks the server; the answer may be a refusal, in triagebot's words.
func (s *ctlServer) call(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	token := os.Getenv(ctlTokenEnv)
	if s.tokenFile != "" {
		data, err := os.ReadFile(s.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		token = string(data)
	}
	if token = strings.TrimSpace(token); token == "" {
		return nil, fmt.Errorf("no token: --token-file names the file of access.ctl_token_file, or %s holds the token", ctlTokenEnv)
	}
	ctx, cancel := context.WithTimeout(ctx, ctlTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(s.url, "/")+path, body)
	if err != nil {
		return nil, fmt.Errorf("--url: %w", safetext.WithoutURL(err))
	}
	req.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("triagebot at %s cannot be asked: %w", s.url, safetext.WithoutURL(err))
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("triagebot at %s broke its answer off: %w", s.url, safetext.WithoutURL(err))
	}
	if resp.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		return nil, fmt.Errorf("%s is no triagebot, or its server asks for more: it answered %s", s.url, resp.Status)
	}
	return answer, nil
}
