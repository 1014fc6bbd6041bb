// The proxy's settings that people look at when tool calls go wrong.

package codexsim

import "net/http"

// Settings are what GET /settings answers. The names are those of the proxy's
// environment.
type Settings struct {
	StopAfterTools     bool   `json:"PROXY_STOP_AFTER_TOOLS"`      // end a turn after its tool calls
	StopAfterToolsMode string `json:"PROXY_STOP_AFTER_TOOLS_MODE"` // burst: after the last tool call; first: after the first
	ToolBlockMax       int    `json:"PROXY_TOOL_BLOCK_MAX"`        // tool calls a turn; 0 is no limit
}

// settingsWith are the settings, with or without a limit to tool calls.
func settingsWith(unlimited bool) Settings {
	s := Settings{StopAfterTools: true, StopAfterToolsMode: "burst", ToolBlockMax: 4}
	if unlimited {
		s.ToolBlockMax = 0
	}
	return s
}

// currentSettings are those in force.
func (a *App) currentSettings() Settings { return settingsWith(a.faults.is(ToolBuffer)) }

func (a *App) settings(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.currentSettings())
}
