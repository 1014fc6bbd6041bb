// The kind `command`: a program that the configuration allows, run without a
// shell, with the environment that is named and nothing more. What it prints is
// kept within bounds, and whatever it started is ended with it.

package step

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"triagebot/triage/playbook"
	"triagebot/triage/strictyaml"
)

// Bounds of what the configuration may allow a command, and its defaults.
const (
	DefaultCommandTimeout = 10 * time.Second
	MinCommandTimeout     = 100 * time.Millisecond
	MaxCommandTimeout     = 10 * time.Minute
	DefaultCommandOutput  = 64 << 10 // bytes, of each of the two streams
	MaxCommandOutput      = 1 << 20
)

// Bounds of its arguments.
const (
	maxArgs = 50
	maxArg  = 8 << 10 // bytes of one
)

// AllowedCommand is a program that playbooks may run.
type AllowedCommand struct {
	Timeout   time.Duration // longest; 0 for DefaultCommandTimeout
	MaxOutput int           // bytes, at most; 0 for DefaultCommandOutput
	Env       []string      // names of variables that may be passed on
}

// Process is one run of a program.
type Process struct {
	Program string // absolute path
	Args    []string
	Env     []string // name=value
	// MaxOutput is how many bytes of each stream are kept: its head and its tail.
	MaxOutput int
}

// Ended is how a run of a program ended.
type Ended struct {
	ExitCode             int    // 128 and the signal's number where a signal ended it
	Stdout, Stderr       []byte // as bounded
	CutStdout, CutStderr int64  // bytes left out
	Left                 error  // why its folder could not be removed; nil when it is gone
}

// Starter runs programs; Programs does on this system. Run returns once the
// program is gone, and its process group with it. An error means that there is
// no exit code: it could not be started, or ctx ended it.
type Starter interface {
	Run(ctx context.Context, p Process) (Ended, error)
}

type command struct{ Deps }

func (*command) Name() string { return "command" }

type commandYAML struct {
	// path, needed: a program that the configuration lists under `commands`. No template.
	Program string `yaml:"program"`
	// list of templates: each is one argument.
	Args []string `yaml:"args"`
	// list of names: of triagebot's own variables that the configuration lists for the program.
	Env []string `yaml:"env"`
	// duration, default the configuration's, which it cannot exceed: of the program.
	Timeout string `yaml:"timeout"`
	// size, default the configuration's, which it cannot exceed: of each of the two streams.
	MaxOutput string `yaml:"max_output"`
	// true or false, default when it begins like an object or a list: whether the output is one JSON value.
	JSON *bool `yaml:"json"`
}

// commandAction is a decoded command step.
type commandAction struct {
	deps      Deps
	program   string
	args      []argument
	env       []string
	timeout   time.Duration
	maxOutput int
	json      *bool
}

// argument is one argument's template.
type argument struct {
	*playbook.Template
	// option says that the template itself begins with "-": only then may what
	// it yields.
	option bool
}

func (k *command) Decode(c *playbook.Compiler, node *yaml.Node) playbook.Action {
	var y commandYAML
	c.Decode(node, &y)
	a := &commandAction{deps: k.Deps, program: y.Program, env: y.Env, json: y.JSON}
	allowed, is := k.Commands[y.Program]
	switch {
	case y.Program == "":
		c.Errorf(node, "program", "is missing; write the path of a program that the configuration lists under commands")
	case !is && len(k.Commands) == 0:
		c.Errorf(node, "program", "%q is not allowed: the configuration lists no commands; add - program: %s under commands to allow it", y.Program, y.Program)
	case !is:
		c.Errorf(node, "program", "%q is not allowed by the configuration's commands%s", y.Program, strictyaml.Suggest(y.Program, slices.Sorted(maps.Keys(k.Commands))))
	}
	a.timeout = cmp.Or(allowed.Timeout, DefaultCommandTimeout)
	if y.Timeout != "" {
		a.timeout = c.Duration(node, "timeout", y.Timeout, MinCommandTimeout, a.timeout)
	}
	a.maxOutput = cmp.Or(allowed.MaxOutput, DefaultCommandOutput)
	if y.MaxOutput != "" {
		switch size, err := parseSize(y.MaxOutput); {
		case err != nil:
			c.Errorf(node, "max_output", "%v", err)
		case size < 1 || size > a.maxOutput:
			c.Errorf(node, "max_output", "%s is out of bounds; the configuration allows a size from 1B to %dB", y.MaxOutput, a.maxOutput)
		default:
			a.maxOutput = size
		}
	}
	if len(y.Args) > maxArgs {
		c.Errorf(node, "args", "has %d entries; at most %d are passed", len(y.Args), maxArgs)
	}
	for i, text := range y.Args[:min(len(y.Args), maxArgs)] {
		a.args = append(a.args, argument{c.Raw(node, fmt.Sprintf("args[%d]", i), text), strings.HasPrefix(text, "-")})
	}
	for i, name := range y.Env {
		if !slices.Contains(allowed.Env, name) {
			c.Errorf(node, fmt.Sprintf("env[%d]", i), "%q is not allowed by the configuration's commands%s", name, strictyaml.Suggest(name, allowed.Env))
		}
	}
	return a
}

// Vars are what the program left.
func (a *commandAction) Vars() map[string]*cel.Type {
	return map[string]*cel.Type{
		"exit_code": cel.IntType,    // 128 and the signal's number where a signal ended it
		"output":    cel.StringType, // what it wrote to its standard output, as valid UTF-8
		"cut":       cel.BoolType,   // whether output is its head and its tail only
		"json":      cel.DynType,    // output decoded; an empty map where it is no JSON
	}
}

func (a *commandAction) Run(ctx context.Context, env *playbook.Env) (*playbook.Outcome, error) {
	args, err := a.render(env)
	if err != nil {
		return nil, &playbook.StepError{Err: err, NextStep: "Look at the alert's labels and at the step's args."}
	}
	bounded, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	p := Process{Program: a.program, Args: args, Env: a.environment(), MaxOutput: a.maxOutput}
	started := a.deps.Now()
	ended, err := a.deps.Starter.Run(bounded, p)
	took := a.deps.Now().Sub(started)
	if err != nil {
		return nil, a.failure(ctx, bounded, err)
	}
	return a.outcome(env, p, ended, started, took), nil
}

// render makes the arguments. Each is one argument, whatever it holds, for there
// is no shell; but one that comes to begin with "-" by a value would be an
// option that the playbook's author did not write.
func (a *commandAction) render(env *playbook.Env) ([]string, error) {
	args := make([]string, 0, len(a.args))
	for i, template := range a.args {
		arg, err := template.Render(env.Data)
		switch {
		case err != nil:
			return nil, fmt.Errorf("argument %d cannot be written: %w", i+1, err)
		case strings.ContainsRune(arg, 0): // which would end it there
			return nil, fmt.Errorf("argument %d, %s, holds a NUL and is refused", i+1, template.Source())
		case strings.HasPrefix(arg, "-") && !template.option:
			return nil, fmt.Errorf("argument %d, %s, becomes %q: a value must not begin with -, for it would be taken for an option", i+1, template.Source(), cut(a.deps.Redact.Text(safeText(arg)), maxShownValue))
		case len(arg) > maxArg:
			return nil, fmt.Errorf("argument %d, %s, has %d bytes; at most %d are passed", i+1, template.Source(), len(arg), maxArg)
		}
		args = append(args, arg)
	}
	return args, nil
}

// environment is what is passed on of the process's own.
func (a *commandAction) environment() []string {
	out := make([]string, 0, len(a.env))
	for _, name := range a.env {
		if value, set := a.deps.LookupEnv(name); set {
			out = append(out, name+"="+value)
		}
	}
	return out
}
