// triagebot audit: what people asked for.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"

	"github.com/alecthomas/kingpin/v2"

	"triagebot/triage"
	"triagebot/triage/command"
	"triagebot/triage/safetext"
	"triagebot/triage/store"
	"triagebot/triage/tracelog"
)

func auditCommand(app *kingpin.Application) subcommand {
	cmd := app.Command("audit", "What people asked of a running triagebot that changes something, and what was refused; the newest first.")
	var server ctlServer
	server.register(cmd)
	incident := cmd.Flag("incident", "Only what was about this incident.").PlaceHolder("NUMBER").Int64()
	limit := cmd.Flag("number", "How many.").Short('n').Default("50").Int()
	output := cmd.Flag("output", "text or ndjson.").Short('o').Default("text").Enum("text", "ndjson")
	return subcommand{cmd.FullCommand(), func(ctx context.Context, stdout, stderr io.Writer) error {
		query := url.Values{"limit": {strconv.Itoa(*limit)}}
		if *incident != 0 {
			query.Set("incident", strconv.FormatInt(*incident, 10))
		}
		answer, err := server.call(ctx, http.MethodGet, command.AuditPath+"?"+query.Encode(), nil)
		if err != nil {
			return err
		}
		var acts []store.Act
		if err := json.Unmarshal(answer, &acts); err != nil {
			var reply triage.Reply
			if json.Unmarshal(answer, &reply) == nil && reply.Text != "" {
				return errors.New(reply.Text)
			}
			return fmt.Errorf("%s did not answer as triagebot does", server.url)
		}
		if *output == "ndjson" {
			for _, act := range acts {
				if err := tracelog.WriteJSONLine(stdout, act); err != nil {
					return err
				}
			}
			return nil
		}
		return writeActs(stdout, acts)
	}}
}

func writeActs(w io.Writer, acts []store.Act) error {
	if len(acts) == 0 {
		_, err := fmt.Fprintln(w, "Nobody has asked for anything yet.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TIME\tWHO\tOUTCOME\tCOMMAND\tANSWER")
	for _, a := range acts {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", a.At.UTC().Format("2006-01-02 15:04:05Z"), tracelog.Harmless(a.Actor.String()), a.Outcome,
			safetext.Line(tracelog.Harmless(a.Text), 60), safetext.Line(tracelog.Harmless(a.Reply.Text), 100))
	}
	return table.Flush()
}
