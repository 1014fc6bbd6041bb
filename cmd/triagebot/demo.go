// triagebot demo: the real program beside a simulated service, so that one
// can see an incident thread fill without having anything installed.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/sirupsen/logrus"

	"triagebot/cmd/config"
	"triagebot/cmd/demo"
	"triagebot/cmd/demo/codexsim"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/playbooks"
	"triagebot/triage"
	"triagebot/triage/console"
	"triagebot/triage/evidence"
	"triagebot/triage/receive"
)

type demoOptions struct {
	once    bool
	fault   string
	dir     string
	listen  string
	channel string
	factor  float64
	verbose bool
}

func demoCommand(app *kingpin.Application) subcommand {
	var o demoOptions
	cmd := app.Command("demo", "Run a simulated service with a fault, and show the thread that it causes.")
	cmd.Flag("once", "One fault from its first page to its end, the thread printed as text, the evidence verified; then exit.").BoolVar(&o.once)
	cmd.Flag("fault", "The fault to begin with.").Default("slow").EnumVar(&o.fault, demo.Faults()...)
	cmd.Flag("dir", "Where everything is kept; a folder that had a demo keeps it, and the new one goes into a folder within. Default: a new folder among the temporary ones.").StringVar(&o.dir)
	cmd.Flag("listen", "Address of triagebot; port 0 takes any that is free.").Default("127.0.0.1:0").StringVar(&o.listen)
	cmd.Flag("channel-listen", "Address of the local channel's page.").Default("127.0.0.1:0").StringVar(&o.channel)
	cmd.Flag("speed", "How much faster than the alert rules' minutes time runs.").Default(fmt.Sprint(demo.DefaultFactor)).Float64Var(&o.factor)
	cmd.Flag("verbose", "Print the log of all parts.").BoolVar(&o.verbose)
	return subcommand{cmd.FullCommand(), func(ctx context.Context, stdout, stderr io.Writer) error {
		return runDemo(ctx, o, stdout, stderr)
	}}
}

const (
	demoChannel = "incidents"
	demoLimit   = 42 * time.Second // of a demo --once
	demoLook    = 100 * time.Millisecond

	demoDatabase = "triagebot.db" // in the demo's folder
	demoEvidence = "evidence"     // likewise
)

// runDemo sets the demo's world and triagebot up, and takes both down again.
func runDemo(ctx context.Context, o demoOptions, stdout, stderr io.Writer) (err error) {
	if o.once {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, demoLimit)
		defer cancel()
	}
	if o.dir, err = demoDir(o.dir); err != nil {
		return err
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	if o.verbose {
		log.SetOutput(stderr)
	}
	say := func(format string, args ...any) { fmt.Fprintf(stdout, format+"\n", args...) }

	address, err := freeAddress(ctx, o.listen)
	if err != nil {
		return err
	}
	say("Starting a simulated codex app server and Prometheus's engine, with a day of made-up history …")
	lab, err := demo.Start(ctx, demo.Options{Dir: o.dir, WebhookURL: "http://" + address + receive.Path, Factor: o.factor, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ignoreCanceled(lab.Close())) }()

	file, err := writeDemoConfig(o, address, lab)
	if err != nil {
		return err
	}
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	a, err := newApp(ctx, file, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()

	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- a.run(ctx) }()
	d := &demoShow{app: a, lab: lab, demoOptions: o, say: say, ended: ended}
	err = d.show(ctx)
	stop()
	return errors.Join(err, d.wait())
}

// demoDir makes the demo's folder. One that had a demo is left as it is: its
// incidents would reopen, and what they owe would go to messages that are gone.
// The new demo then goes into the first free folder demo-2, demo-3 … within.
func demoDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "triagebot-demo-")
	}
	const most = 1000
	own := dir
	for n := 2; n <= most; n++ {
		used := false
		for _, name := range []string{demoDatabase, demoEvidence} {
			_, err := os.Lstat(filepath.Join(own, name))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("--dir: %w", err)
			}
			used = used || err == nil
		}
		if !used {
			return own, os.MkdirAll(own, 0o750)
		}
		own = filepath.Join(dir, fmt.Sprintf("demo-%d", n))
	}
	return "", fmt.Errorf("--dir: %s holds %d demos; give another folder", dir, most-1)
}

// freeAddress is an address that nobody listens on, so that the demo's world
// can be told where triagebot will be before it is there.
func freeAddress(ctx context.Context, listen string) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return "", fmt.Errorf("--listen: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// demoConfig is an ordinary configuration, left in the folder to be looked at.
const demoConfig = `# Written by triagebot demo.
server:
  listen: %[1]q
storage:
  sqlite: {path: %[2]s}
evidence:
  dir: %[3]s
prometheus:
  url: %[4]s
services:
  app: {url: %[5]s}
playbooks:
  files: ["playbooks/*.yaml"]
incidents:
  edit_every: 500ms
slack:
  local: {listen: %[6]q}
escalation:
  oncall:
    - {notifier: slack, channel: "#oncall"}
# In the channel: /maintenance enable for 5m try it
maintenance:
  service: app
  channel: "#%[7]s"
  toggle:
    url: %[5]s/admin/maintenance
    http_config: {authorization: {credentials_file: admin-token}}
    body_on: '{"enabled":true}'
    body_off: '{"enabled":false}'
  metric: max(codex_maintenance_mode)
  ready_url: %[5]s/readyz
  watch_every: 2s
  remind_before: 1m
routes:
  - notifier: slack
    channel: "#%[7]s"
`

func writeDemoConfig(o demoOptions, address string, lab *demo.Lab) (string, error) {
	dir := filepath.Join(o.dir, "playbooks")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	shipped, err := playbooks.All()
	if err != nil {
		return "", err
	}
	for _, f := range shipped {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(filepath.Join(o.dir, "admin-token"), []byte(lab.AdminToken()), 0o600); err != nil {
		return "", err
	}
	file := filepath.Join(o.dir, "triagebot.yaml")
	text := fmt.Sprintf(demoConfig, address, demoDatabase, demoEvidence, lab.PrometheusURL(), lab.AppURL(), o.channel, demoChannel) +
		codexsim.TracesConfig(filepath.Base(lab.LogDir())) // beside the configuration
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// demoShow tells what happens.
type demoShow struct {
	demoOptions
	app   *app
	lab   *demo.Lab
	say   func(format string, args ...any)
	ended chan error
	over  bool
	since time.Time // when the fault was switched on
}

// wait returns why triagebot ended, once it has.
func (d *demoShow) wait() error {
	if d.over {
		return nil
	}
	return ignoreCanceled(<-d.ended)
}

func (d *demoShow) show(ctx context.Context) error {
	d.say("triagebot     %s", d.app.url())
	d.say("channel       %s/c/%s", d.app.local.url(), demoChannel)
	d.say("incidents     %s", console.ListURL(d.app.signer, time.Now().Add(d.app.signer.TTL)))
	d.say("app           %s  (faults: curl -X POST %s/faults/NAME, -X DELETE to end one: %s)", d.lab.AppURL(), d.lab.AppURL(), strings.Join(demo.Faults(), ", "))
	d.say("prometheus    %s", d.lab.PrometheusURL())
	d.say("folder        %s", d.dir)
	d.since = time.Now()
	if err := d.lab.Fault(d.fault, true); err != nil {
		return err
	}
	d.say("\nFault %q is on. Its alert fires after its `for`, here in seconds instead of minutes …", d.fault)
	if d.once {
		return d.showOnce(ctx)
	}
	inc, err := d.untilFiring(ctx)
	if err != nil {
		return ignoreCanceled(err)
	}
	d.say("%s fires: incident %d. Its thread fills at %s/c/%s", inc.Alertname, inc.ID, d.app.local.url(), demoChannel)
	d.say("Ctrl-C ends the demo.")
	select {
	case err := <-d.ended:
		d.over = true
		return err
	case <-d.lab.Done():
		return errors.New("the simulated service ended")
	case <-ctx.Done():
	}
	d.say("\nThe evidence stays; verify it with:\n  %s evidence verify %s", ownCommand(os.Executable()), d.bundle(inc.ID))
	return nil
}

// ownCommand is how people call this program again. `go run` removes the
// executable that it built once that ends.
func ownCommand(executable string, err error) string {
	switch {
	case err != nil:
		return "triagebot"
	case strings.Contains(filepath.ToSlash(executable), "/go-build"):
		return "go run ./cmd/triagebot"
	default:
		return executable
	}
}

// bundle is the folder of an incident's evidence.
func (d *demoShow) bundle(incidentID int64) string {
	return filepath.Join(d.dir, demoEvidence, evidence.Folder(incidentID))
}

// showOnce follows one incident to its end.
func (d *demoShow) showOnce(ctx context.Context) error {
	started := time.Now()
	inc, err := d.untilFiring(ctx)
	if err != nil {
		return err
	}
	d.say("%6.1fs  %s fires: incident %d, playbook %s", time.Since(started).Seconds(), inc.Alertname, inc.ID, inc.Playbook)
	if err := d.untilRun(ctx, inc.ID); err != nil {
		return err
	}
	d.say("%6.1fs  the playbook has run", time.Since(started).Seconds())
	if err := d.lab.Fault(d.fault, false); err != nil {
		return err
	}
	d.say("%6.1fs  fault %q is off", time.Since(started).Seconds(), d.fault)
	if err := d.untilResolved(ctx, inc.ID); err != nil {
		return err
	}
	d.say("%6.1fs  resolved", time.Since(started).Seconds())
	if err := d.untilShown(ctx, inc.ID); err != nil {
		return err
	}
	d.say("\n#%s\n", demoChannel)
	for _, thread := range d.app.local.workspace.Channel(demoChannel) {
		printThread(d.say, thread)
	}
	return d.verify(ctx, inc.ID)
}

// poll asks again and again until done says yes, triagebot ends, or ctx does.
func (d *demoShow) poll(ctx context.Context, what string, done func() (bool, error)) error {
	ticker := time.NewTicker(demoLook)
	defer ticker.Stop()
	for {
		if yes, err := done(); err != nil || yes {
			return err
		}
		select {
		case <-ticker.C:
		case err := <-d.ended:
			d.over = true
			return errors.Join(fmt.Errorf("triagebot ended before %s", what), err)
		case <-ctx.Done():
			return fmt.Errorf("before %s: %w", what, ctx.Err())
		}
	}
}

// untilFiring waits for the fault's incident: the first that opened since it
// was switched on, for one fault may trouble more than one alert.
func (d *demoShow) untilFiring(ctx context.Context) (inc triage.Incident, err error) {
	err = d.poll(ctx, "the alert fires", func() (bool, error) {
		list, err := d.app.db.Incidents(ctx, 100)
		if err != nil {
			return false, err
		}
		for _, opened := range slices.Backward(list) { // the latest comes first
			if !opened.OpenedAt.Before(d.since.Truncate(time.Microsecond)) { // as the database keeps it
				inc = opened
				return true, nil
			}
		}
		return false, nil
	})
	return inc, err
}

func (d *demoShow) untilResolved(ctx context.Context, incidentID int64) error {
	return d.poll(ctx, "the alert resolves", func() (bool, error) {
		inc, err := d.app.db.Incident(ctx, incidentID)
		return inc.State != triage.IncidentFiring, err
	})
}

func (d *demoShow) untilRun(ctx context.Context, incidentID int64) error {
	return d.poll(ctx, "the playbook has run", func() (bool, error) {
		runs, err := d.app.db.RunsOf(ctx, incidentID)
		return len(runs) > 0 && runs[0].State == triage.RunFinished, err
	})
}

// untilShown waits until the channel shows all that is owed to it, and for the
// bundle of the resolved incident. A message that was given up on is an error.
func (d *demoShow) untilShown(ctx context.Context, incidentID int64) error {
	return d.poll(ctx, "everything is shown", func() (bool, error) {
		deliveries, err := d.app.db.DeliveriesOf(ctx, incidentID)
		if err != nil {
			return false, err
		}
		for _, v := range deliveries {
			switch v.State {
			case triage.DeliverySent:
			case triage.DeliveryParked:
				return false, fmt.Errorf("the message %s was given up on: %s", v.Key, v.LastError)
			default:
				return false, nil
			}
		}
		jobs, err := d.app.db.JobStates(ctx)
		return jobs["available"]+jobs["running"]+jobs["retryable"] == 0, err
	})
}

func (d *demoShow) verify(ctx context.Context, incidentID int64) error {
	report, err := evidence.Verify(ctx, d.bundle(incidentID), "")
	if err != nil {
		return err
	}
	d.say("%s", strings.TrimSpace(report.String()))
	if !report.Whole() {
		return errors.New("the evidence is not whole")
	}
	return nil
}

func printThread(say func(string, ...any), t slacklocal.Thread) {
	say("%s", unescaped.Replace(t.Text))
	for _, reply := range t.Replies {
		text := reply.Text
		if text == "" && len(reply.Files) > 0 {
			text = "[chart]"
		}
		say("  ↳ %s", strings.ReplaceAll(unescaped.Replace(text), "\n", "\n    "))
	}
	say("")
}

// unescaped undoes the three escapes of Slack's text.
var unescaped = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
