// What people change about the running app: its release, which a deploy
// replaces, and its flags. Each change is told by a metric and by a line of
// changes.ndjson.

package codexsim

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// version is the release that works.
const version = "0.9.4-sim"

// release is one build of the app.
type release struct {
	version, revision string
	// refused is what the backend says to requests that this release words badly;
	// "" when it makes none.
	refused string
}

// usualRelease runs unless a bad one was deployed.
func usualRelease() release { return release{version: version, revision: "4c1f0aa"} }

func badRelease() release {
	return release{version: "0.9.5-sim", revision: "b7e93d2", refused: `backend: request refused: unknown field "stream_opts"`}
}

func (r release) labels() prometheus.Labels {
	return prometheus.Labels{"version": r.version, "revision": r.revision}
}

// release is what runs.
func (a *App) release() release {
	if a.faults.is(Deploy) {
		return badRelease()
	}
	return usualRelease()
}

// The flags of codex_feature_flag.
const (
	flagMaintenance  = "maintenance"
	flagToolBlockCap = "tool_block_cap" // on while PROXY_TOOL_BLOCK_MAX caps a turn's tool calls
)

// Who makes the changes of changes.ndjson.
const (
	byPipeline = "release-pipeline"
	byOperator = "operator"
)

// announce tells of the change that comes with a fault, where it is one that
// people make.
func (a *App) announce(fault Fault, on bool) {
	switch fault {
	case Deploy:
		from, to := usualRelease(), badRelease()
		verb := "deploy"
		if !on {
			from, to, verb = to, from, "roll back"
		}
		a.metrics.build.With(to.labels()).Set(1)
		a.metrics.build.Delete(from.labels())
		a.logs.changes.write(changeLine{What: "deploy", Who: byPipeline, Detail: fmt.Sprintf("%s %s (%s) in place of %s", verb, to.version, to.revision, from.version)})
	case ToolBuffer:
		was, is := settingsWith(!on), settingsWith(on)
		a.flip(flagToolBlockCap, !on, fmt.Sprintf("PROXY_TOOL_BLOCK_MAX=%d (was %d)", is.ToolBlockMax, was.ToolBlockMax))
	case Maintenance:
		a.metrics.maintenance.Set(boolToFloat(on))
		a.flip(flagMaintenance, on, fmt.Sprintf("maintenance=%t (was %t)", on, !on))
	}
}

func (a *App) flip(flag string, on bool, detail string) {
	a.metrics.flags.WithLabelValues(flag).Set(boolToFloat(on))
	a.logs.changes.write(changeLine{What: "flag", Who: byOperator, Detail: detail})
}
