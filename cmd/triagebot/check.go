// triagebot check: everything that can be told of files without running them.

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"

	"triagebot/cmd/config"
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
			// What is wrong with the playbooks is said in the same go.
			if err := checkPlaybooks(cfg); err != nil {
				fmt.Fprintln(stderr, err)
			}
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

// checkPlaybooks says what is wrong with the playbooks of a configuration that
// is not fit for use: no client is made of what it says, but the names of
// datasources and services stand.
func checkPlaybooks(cfg *config.Config) error {
	files := slices.DeleteFunc(slices.Clone(cfg.Playbooks.Files), func(glob string) bool {
		found, err := filepath.Glob(glob)
		return err != nil || len(found) == 0 // said of the configuration
	})
	deps := step.Deps{Prometheus: map[string]step.Datasource{mainDatasource: {}}, DefaultDatasource: mainDatasource}
	for name := range cfg.Datasources {
		deps.Prometheus[name] = step.Datasource{}
	}
	_, err := loadPlaybooks(files, cfg.Services, step.Kinds(deps))
	return err
}
