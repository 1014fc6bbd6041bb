package slack

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// everyScope is the header of a token that has them all.
func everyScope(but ...string) http.Header {
	var names []string
	for _, s := range Scopes() {
		names = append(names, s.Name)
	}
	given := "," + strings.Join(names, ",") + ","
	for _, b := range but {
		given = strings.Replace(given, ","+b+",", ",", 1)
	}
	return http.Header{"X-Oauth-Scopes": {strings.Trim(given, ",")}}
}

// examined is an app whose Slack answers methods with these bodies in place of
// the good ones.
func examined(t *testing.T, o ExamineOptions, header http.Header, bodies map[string]string) []Examined {
	t.Helper()
	good := map[string]string{
		"auth.test": `{"ok":true,"user":"triagebot","team":"acme","team_id":"T0123456","bot_id":"B1"}`,
		"conversations.list": `{"ok":true,"channels":[
			{"id":"C0INC00001","name":"incidents","is_member":true},{"id":"C0OLD00001","name":"old","is_member":true,"is_archived":true},
			{"id":"C0SRE00001","name":"sre"},{"id":"C0EXT00001","name":"with-acme","is_member":true,"is_ext_shared":true}]}`,
		"apps.connections.open": `{"ok":true,"url":"wss://x.example/?ticket=SECRET"}`,
	}
	a := &api{header: header, answer: func(_ int, c apiCall) (int, string) {
		if body, ok := bodies[c.method]; ok {
			return 200, body
		}
		return 200, good[c.method]
	}}
	o.HTTPClient = &http.Client{Transport: a}
	if o.Token == "" {
		o.Token = "xoxb-1"
	}
	found := Examine(t.Context(), o)
	for _, f := range found {
		said := f.What + f.Do
		if strings.Contains(said, "SECRET") || strings.Contains(said, "xapp-1-") || strings.Contains(said, "xoxb-1") {
			t.Errorf("a secret is printed: %s", said)
		}
		if (f.Do == "") != (f.Grade == Fine) {
			t.Errorf("%s: what to do is %q", f.What, f.Do)
		}
	}
	return found
}

func has(found []Examined, g Grade, what string) bool {
	for _, f := range found {
		if f.Grade == g && strings.Contains(f.What+" → "+f.Do, what) {
			return true
		}
	}
	return false
}

func TestAnAppThatIsSetUpWell(t *testing.T) {
	found := examined(t, ExamineOptions{AppToken: "xapp-1-A", Channels: []string{"#incidents", "C0INC00001"}}, everyScope(), nil)
	for _, f := range found {
		if f.Grade != Fine {
			t.Errorf("%+v", f)
		}
	}
	if len(found) != 5 || !has(found, Fine, "acme (T0123456)") || !has(found, Fine, "opens Socket Mode") {
		t.Errorf("found %+v", found)
	}
}

func TestEachThingThatIsAmissIsSaidWithWhatToDo(t *testing.T) {
	app := ExamineOptions{AppToken: "xapp-1-A"}
	of := func(channels ...string) ExamineOptions {
		return ExamineOptions{AppToken: "xapp-1-A", Channels: channels}
	}
	fails := func(method, code string) map[string]string {
		return map[string]string{method: fmt.Sprintf(`{"ok":false,"error":%q}`, code)}
	}
	secret := strings.Repeat("0a", 16)
	for name, c := range map[string]struct {
		o      ExamineOptions
		header http.Header
		bodies map[string]string
		grade  Grade
		says   string
	}{
		"a token that is refused":   {app, everyScope(), fails("auth.test", "invalid_auth"), Wrong, "invalid_auth"},
		"a person's token":          {app, everyScope(), map[string]string{"auth.test": `{"ok":true,"user":"alice"}`}, Wrong, "a user's"},
		"no scopes said":            {app, nil, nil, Warning, "does not say which scopes"},
		"no chat:write":             {app, everyScope("chat:write"), nil, Wrong, "chat:write is missing, which is needed to post incidents"},
		"no commands":               {app, everyScope("commands"), nil, Wrong, "commands is missing"},
		"no private channels":       {app, everyScope("groups:history"), nil, Warning, "groups:history is missing, which is needed as channels:history"},
		"private channels only":     {app, everyScope("channels:history"), nil, Warning, "channels:history is missing"},
		"neither kind of channels":  {app, everyScope("channels:history", "groups:history"), nil, Wrong, "channels:history is missing"},
		"not in the channel":        {of("sre"), everyScope(), nil, Wrong, "the bot is not in #sre → write /invite"},
		"no such channel":           {of("nowhere"), everyScope(), nil, Wrong, "#nowhere is not seen"},
		"archived":                  {of("old"), everyScope(), nil, Wrong, "#old is archived"},
		"shared with others":        {of("with-acme"), everyScope(), nil, Warning, "another organisation"},
		"channels not listed":       {of("sre"), everyScope(), fails("conversations.list", "missing_scope"), Wrong, "cannot be listed"},
		"nobody is heard":           {ExamineOptions{}, everyScope("commands"), nil, Warning, "not heard"},
		"an app token refused":      {app, everyScope(), fails("apps.connections.open", "invalid_auth"), Wrong, "invalid_auth → make an app-level token"},
		"an app token unfit":        {app, everyScope(), fails("apps.connections.open", "missing_scope"), Wrong, "lacks the scope connections:write"},
		"a token of the wrong kind": {app, everyScope(), fails("apps.connections.open", "not_allowed_token_type"), Wrong, "not an app-level token"},
		"a good signing secret":     {ExamineOptions{SigningSecret: secret}, everyScope(), nil, Fine, "Verified"},
		"a secret a character off":  {ExamineOptions{SigningSecret: secret + "a"}, everyScope(), nil, Warning, "does not look like one"},
		"both ways":                 {ExamineOptions{AppToken: "xapp-1-A", SigningSecret: secret}, everyScope(), nil, Warning, "both"},
	} {
		t.Run(name, func(t *testing.T) {
			found := examined(t, c.o, c.header, c.bodies)
			if !has(found, c.grade, c.says) {
				t.Errorf("no %s that says %q in %+v", c.grade, c.says, found)
			}
			if name == "nobody is heard" && has(found, Wrong, "") {
				t.Errorf("scopes for hearing are missed where nobody is to be heard: %+v", found)
			}
		})
	}
}

func TestEveryScopeOfSendingIsAmongAllScopes(t *testing.T) {
	all := map[string]bool{}
	for _, s := range Scopes() {
		all[s.Name] = true
	}
	for _, s := range scopesNeeded {
		if !all[s] {
			t.Errorf("%s is called for and not asked for", s)
		}
	}
	for _, method := range []string{methodHistory, methodReplies, methodList, methodFileInfo, methodMembers, methodUser} {
		if !all[scopeOf(method)] {
			t.Errorf("%s needs %s, which is not asked for", method, scopeOf(method))
		}
	}
}
