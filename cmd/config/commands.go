package config

// Programs that playbooks may run.

import (
	"fmt"
	"path/filepath"
	"regexp"
	"time"

	"github.com/prometheus/common/model"

	"triagebot/triage/step"
)

// Command is a program that playbooks may run, and how far.
type Command struct {
	Program   string         `yaml:"program"`    // absolute path
	Env       []string       `yaml:"env"`        // names of triagebot's own variables that may be passed on
	Timeout   model.Duration `yaml:"timeout"`    // the longest that a step may give it, and the default
	MaxOutput Size           `yaml:"max_output"` // likewise, of each of its two streams
}

const (
	maxCommands   = 100
	maxCommandEnv = 50
)

func fillInCommands(commands []Command) {
	for i := range commands {
		c := &commands[i]
		if c.Timeout == 0 {
			c.Timeout = model.Duration(step.DefaultCommandTimeout)
		}
		if c.MaxOutput == 0 {
			c.MaxOutput = step.DefaultCommandOutput
		}
	}
}

// envPattern is the name of a variable.
var envPattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// commands checks what can be told without looking at the programs, which need
// not be where the file is checked.
func (k *checker) commands(commands []Command) {
	if len(commands) > maxCommands {
		k.addf("commands", "has %d entries; at most %d are allowed", len(commands), maxCommands)
	}
	seen := map[string]bool{}
	for i := range commands {
		c := &commands[i]
		path := fmt.Sprintf("commands[%d]", i)
		switch {
		case c.Program == "":
			k.addf(path+".program", "is missing; write the program's path, such as /usr/local/bin/drain-check")
		case !filepath.IsAbs(c.Program):
			k.addf(path+".program", "%q is no absolute path; write one, such as /usr/local/bin/drain-check: no folder is searched for it, and arguments belong into the playbook", c.Program)
		case filepath.Clean(c.Program) != c.Program:
			k.addf(path+".program", "write %q as %s: playbooks name it by exactly this text", c.Program, filepath.Clean(c.Program))
		case seen[c.Program]:
			k.addf(path+".program", "%s is listed twice; keep one of the two", c.Program)
		}
		seen[c.Program] = true
		if len(c.Env) > maxCommandEnv {
			k.addf(path+".env", "has %d entries; at most %d are allowed", len(c.Env), maxCommandEnv)
		}
		for j, name := range c.Env {
			if !envPattern.MatchString(name) {
				// What is given in place of a name may be a secret.
				k.addf(fmt.Sprintf("%s.env[%d]", path, j), "is no variable's name; write the name alone, such as HOME: the value is taken from triagebot's own environment")
			}
		}
		if d := time.Duration(c.Timeout); d < step.MinCommandTimeout || d > step.MaxCommandTimeout {
			k.addf(path+".timeout", "%s is out of bounds; it must be from %s to %s", c.Timeout, model.Duration(step.MinCommandTimeout), model.Duration(step.MaxCommandTimeout))
		}
		if c.MaxOutput < 1 || c.MaxOutput > step.MaxCommandOutput {
			k.addf(path+".max_output", "%s is out of bounds; it must be from 1B to %s", c.MaxOutput, Size(step.MaxCommandOutput))
		}
	}
}
