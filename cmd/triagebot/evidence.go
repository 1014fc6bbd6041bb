// triagebot evidence: looking at bundles by hand.

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/alecthomas/kingpin/v2"

	"triagebot/triage/evidence"
)

func evidenceCommand(app *kingpin.Application) subcommand {
	cmd := app.Command("evidence", "Look at evidence bundles.")
	verify := cmd.Command("verify", "Prove a bundle whole, or name what was changed. Exit status: 0 whole, 1 changed, 2 could not be read.")
	bundle := verify.Arg("bundle", "The bundle's folder (or bucket URL with the folder as prefix).").Required().String()
	head := verify.Flag("head", "The chain's head that the bundle must have, as its thread shows it once the incident is closed. Without it a bundle that was rewritten as a whole passes.").String()
	return subcommand{verify.FullCommand(), func(ctx context.Context, stdout, stderr io.Writer) error {
		report, err := evidence.Verify(ctx, *bundle, *head)
		if err != nil {
			fmt.Fprintf(stderr, "triagebot: error: %v\n", err)
			return exitError(2)
		}
		fmt.Fprint(stdout, report.String())
		if !report.Whole() {
			return exitError(1)
		}
		return nil
	}}
}
