package slacklocal

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestPeopleAndTheirGroups(t *testing.T) {
	f := setUp(t, Options{
		People: []Person{you, {ID: "U0GUEST", Name: "guest", Team: "T0OTHER"}},
		Groups: map[string][]string{"S0SRE": {you.ID}, "S0EMPTY": {}},
	})
	if r := f.call(t, "users.info", "user", you.ID); !r.ok() || r["user"].(map[string]any)["name"] != you.Name || r["user"].(map[string]any)["team_id"] != TeamID {
		t.Errorf("you: %v", r)
	}
	if r := f.call(t, "users.info", "user", "U0GUEST"); r["user"].(map[string]any)["team_id"] != "T0OTHER" || r["user"].(map[string]any)["is_stranger"] != true {
		t.Errorf("somebody by Slack Connect: %v", r)
	}
	for group, want := range map[string]string{"S0SRE": fmt.Sprint([]any{you.ID}), "S0EMPTY": "[]", "S0NONE": "no_such_subteam"} {
		r := f.call(t, "usergroups.users.list", "usergroup", group)
		if got := fmt.Sprint(r["users"]); got != want && r.err() != want {
			t.Errorf("%s: %v", group, r)
		}
	}
	f.SetGroup("S0SRE", []string{"U0GUEST"})
	f.SetGroup("S0EMPTY", nil)
	r := f.call(t, "usergroups.list", "include_users", "true")
	if got := fmt.Sprint(r["usergroups"]); !strings.Contains(got, "users:[U0GUEST]") || strings.Contains(got, "S0EMPTY") {
		t.Errorf("the groups: %v", got)
	}
}

func TestWhoCannotBeThere(t *testing.T) {
	many := func(n int) (people []Person) {
		for i := range n {
			people = append(people, Person{ID: fmt.Sprint("U", i), Name: fmt.Sprint("p", i)})
		}
		return people
	}
	for name, c := range map[string]struct {
		people []Person
		ok     bool
	}{
		"as many as allowed": {many(maxPeople), true},
		"one more":           {many(maxPeople + 1), false},
		"without a name":     {[]Person{{ID: "U1"}}, false},
		"without an ID":      {[]Person{{Name: "a"}}, false},
		"the bot":            {[]Person{{ID: UserID, Name: "a"}}, false},
		"the bot's name":     {[]Person{{ID: "U1", Name: BotName}}, false},
		"two words":          {[]Person{{ID: "U1", Name: "a b"}}, false},
		"the same ID":        {[]Person{{ID: "U1", Name: "a"}, {ID: "U1", Name: "b"}}, false},
		"the same name":      {[]Person{{ID: "U1", Name: "a"}, {ID: "U2", Name: "a"}}, false},
	} {
		if _, err := New(Options{People: c.people}); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheTokensScopesAreToldAndHeldTo(t *testing.T) {
	f := setUp(t, Options{Scopes: "chat:write, users:read"})
	_, r, header := f.raw(t, "auth.test", "application/x-www-form-urlencoded", "token="+DefaultToken, nil)
	if !r.ok() || header.Get("X-OAuth-Scopes") != "chat:write, users:read" {
		t.Errorf("auth.test: %v, scopes %q", r, header.Get("X-OAuth-Scopes"))
	}
	f.post(t, "with the scope")
	for method, needed := range map[string]string{
		"conversations.history": "channels:history", "conversations.list": "channels:read",
		"usergroups.users.list": "usergroups:read", "files.info": "files:read", "files.getUploadURLExternal": "files:write",
	} {
		if r := f.call(t, method); r.err() != "missing_scope" || r.str("needed") != needed || r.str("provided") != "chat:write, users:read" {
			t.Errorf("%s: %v", method, r)
		}
	}
}

func TestEachTokenIsForItsOwnMethods(t *testing.T) {
	f := setUp(t, Options{AppToken: "xapp-1"})
	call := func(method, token string) string {
		return f.send(t, method, "application/x-www-form-urlencoded", "", http.Header{"Authorization": {"Bearer " + token}}).err()
	}
	for _, c := range []struct{ method, token, want string }{
		{connectionsOpen, "xapp-1", ""},
		{connectionsOpen, DefaultToken, "not_allowed_token_type"},
		{connectionsOpen, "xapp-2", "invalid_auth"},
		{"auth.test", "xapp-1", "not_allowed_token_type"},
		{"auth.test", DefaultToken, ""},
	} {
		if got := call(c.method, c.token); got != c.want {
			t.Errorf("%s with %s: %q, want %q", c.method, c.token, got, c.want)
		}
	}
	without := setUp(t, Options{})
	if r := without.send(t, connectionsOpen, "application/x-www-form-urlencoded", "", http.Header{"Authorization": {"Bearer x"}}); r.err() != "invalid_auth" {
		t.Errorf("without Socket Mode: %v", r)
	}
}
