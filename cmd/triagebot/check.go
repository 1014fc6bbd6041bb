// triagebot check: everything that can be told of files without running them.

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"

	"triagebot/cmd/config"
	"triagebot/triage/evidence"
	"triagebot/triage/step"
)

func checkConfigCommand(check *kingpin.CmdClause) subcommand {
	cmd := check.Command("config", "Check a configuration and the playbooks it names. Prints every problem; exit status 1 when there is one.")
	file := cmd.Arg("file", "The configuration.").Required().String()
	print := cmd.Flag("print", "Print the configuration as it is in force, defaults filled in and secrets hidden.").Bool()
	return subcommand{cmd.FullCommand(), func(_ context.Context, stdout, stderr io.Writer) error {
		cfg, problems := config.Check(*file)
		if err := problems.Err(); err != nil {
			fmt.Fprintln(stderr, err)
			if cfg == nil {
				return exitError(1)
			}
			// What is wrong with the playbooks is said in the same go; datasources
			// and services are not checked against a configuration that is wrong.
			if _, err := loadPlaybooks(cfg, step.Kinds(step.Deps{Dashboards: readDashboard})); err != nil {
				fmt.Fprintln(stderr, err)
			}
			return exitError(1)
		}
		if err := evidence.CheckBucketURL(cfg.Evidence.BucketURL); err != nil {
			fmt.Fprintln(stderr, err)
			return exitError(1)
		}
		s, err := (&app{registry: prometheus.NewRegistry(), log: newLog(stderr, cfg)}).load(cfg)
		if err != nil {
			fmt.Fprintln(stderr, err)
			return exitError(1)
		}
		if *print {
			return cfg.Print(stdout)
		}
		fmt.Fprintf(stdout, "%s is fine: %d playbooks, %d routes\n", *file, len(s.playbooks.All()), len(cfg.Routes))
		return nil
	}}
}
