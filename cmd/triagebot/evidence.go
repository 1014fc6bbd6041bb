// triagebot evidence: looking at bundles by hand.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kingpin/v2"

	"triagebot/triage/evidence"
)

func evidenceCommand(app *kingpin.Application) subcommand {
	cmd := app.Command("evidence", "Look at evidence bundles.")
	verify := cmd.Command("verify", "Prove a bundle, or all of them, whole, or name what was changed. Exit status: 0 whole, 1 changed, 2 could not be read.")
	bundle := verify.Arg("bundle", "The bundle's folder (or bucket URL with the folder as prefix), or that of all bundles.").Required().String()
	head := verify.Flag("head", "The chain's head that the bundle must have, as its thread shows it once the incident is closed. Without it a bundle that was rewritten as a whole passes.").String()
	return subcommand{verify.FullCommand(), func(ctx context.Context, stdout, stderr io.Writer) error {
		report, err := evidence.Verify(ctx, *bundle, *head)
		if errors.Is(err, evidence.ErrNoBundle) && *head == "" {
			all := allBundles{stdout: stdout, stderr: stderr}
			if none := evidence.VerifyStore(ctx, *bundle, all.add); !errors.Is(none, evidence.ErrNoBundles) {
				return all.end(none)
			}
		}
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

// allBundles prints what comes of each bundle of a store.
type allBundles struct {
	stdout, stderr             io.Writer
	whole, changed, unreadable int
}

func (a *allBundles) add(report evidence.Report, err error) {
	switch {
	case err != nil:
		a.unreadable++
		fmt.Fprintf(a.stdout, "UNREADABLE: %v\n", err)
	case report.Whole():
		a.whole++
		fmt.Fprint(a.stdout, report.Verdict())
	default:
		a.changed++
		fmt.Fprint(a.stdout, report.Verdict())
	}
}

// end prints the sum. err is what kept bundles from being looked at.
func (a *allBundles) end(err error) error {
	fmt.Fprintf(a.stdout, "%d bundles: %d whole, %d changed, %d unreadable\n", a.whole+a.changed+a.unreadable, a.whole, a.changed, a.unreadable)
	switch {
	case err != nil:
		fmt.Fprintf(a.stderr, "triagebot: error: %v\n", err)
		return exitError(2)
	case a.changed > 0:
		return exitError(1)
	case a.unreadable > 0:
		return exitError(2)
	default:
		return nil
	}
}
