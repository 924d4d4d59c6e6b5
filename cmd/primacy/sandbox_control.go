package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"
	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/mysqld/local"
)

// sandboxAction does something to one server of a sandbox that an operator would never want to.
type sandboxAction struct {
	name, short string
	do          func(context.Context, *local.Server) error
}

var sandboxActions = []sandboxAction{
	{"kill", "end a server's process as a crash would (kill -9)", func(_ context.Context, s *local.Server) error { return s.Kill() }},
	{"freeze", "stop a server's process where it stands (SIGSTOP)", func(_ context.Context, s *local.Server) error { return s.Freeze() }},
	{"thaw", "let a frozen server go on (SIGCONT)", func(_ context.Context, s *local.Server) error { return s.Thaw() }},
	{"start", "boot a stopped server", func(ctx context.Context, s *local.Server) error { return s.Start(ctx) }},
	{"stop", "shut a server down in order", func(ctx context.Context, s *local.Server) error { return s.Stop(ctx) }},
	{"rebuild", "throw a server's data away and begin anew", func(ctx context.Context, s *local.Server) error { return s.Rebuild(ctx) }},
	{"restart", "shut a server down in order and boot it again", func(ctx context.Context, s *local.Server) error { return s.Restart(ctx) }},
}

// sandboxServer is a server as the sandbox's own API shows it.
type sandboxServer struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	State   string `json:"state"`
	Pid     int    `json:"pid"`
}

func describeServer(s *local.Server) sandboxServer {
	return sandboxServer{Name: s.Name, Address: s.Address(), State: string(s.State()), Pid: s.Pid()}
}

// sandboxHandler is the API that only a sandbox has, under /sandbox.
func sandboxHandler(fleet *local.Fleet) http.Handler {
	r := mux.NewRouter()
	r.HandleFunc("/sandbox/servers", func(w http.ResponseWriter, _ *http.Request) {
		all := []sandboxServer{}
		for _, s := range fleet.Servers {
			all = append(all, describeServer(s))
		}
		answer(w, http.StatusOK, map[string]any{"servers": all})
	}).Methods(http.MethodGet)
	r.HandleFunc("/sandbox/servers/{server}/{action}", func(w http.ResponseWriter, r *http.Request) {
		act(w, r, fleet)
	}).Methods(http.MethodPost)
	return r
}

func act(w http.ResponseWriter, r *http.Request, fleet *local.Fleet) {
	server, action := findServer(fleet, mux.Vars(r)["server"]), findAction(mux.Vars(r)["action"])
	if server == nil || action == nil {
		answer(w, http.StatusNotFound, map[string]any{
			"title": "not found", "status": http.StatusNotFound, "code": "not_found",
			"detail": fmt.Sprintf("servers are %s; actions are %s", strings.Join(serverNames(fleet), ", "), strings.Join(actionNames(), ", ")),
		})
		return
	}
	if err := action.do(r.Context(), server); err != nil {
		answer(w, http.StatusConflict, map[string]any{"title": "failed", "status": http.StatusConflict, "code": "failed", "detail": err.Error()})
		return
	}
	answer(w, http.StatusOK, describeServer(server))
}

func answer(w http.ResponseWriter, status int, body any) {
	kind := "application/json"
	if status >= http.StatusBadRequest {
		kind = "application/problem+json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a reader that went away is no concern of the sandbox
}

func findServer(fleet *local.Fleet, name string) *local.Server {
	i := slices.IndexFunc(fleet.Servers, func(s *local.Server) bool { return s.Name == name || s.Address() == name })
	if i < 0 {
		return nil
	}
	return fleet.Servers[i]
}

func findAction(name string) *sandboxAction {
	i := slices.IndexFunc(sandboxActions, func(a sandboxAction) bool { return a.name == name })
	if i < 0 {
		return nil
	}
	return &sandboxActions[i]
}

func serverNames(fleet *local.Fleet) []string {
	var names []string
	for _, s := range fleet.Servers {
		names = append(names, s.Name)
	}
	return names
}

func actionNames() []string {
	var names []string
	for _, a := range sandboxActions {
		names = append(names, a.name)
	}
	return names
}

func actionCommand(a sandboxAction) *cobra.Command {
	return &cobra.Command{
		Use: a.name + " SERVER", Short: a.short, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var s sandboxServer
			if err := sandboxCall(c, http.MethodPost, "/sandbox/servers/"+args[0]+"/"+a.name, &s); err != nil {
				return err
			}
			return told(c, s, func(out io.Writer) { fmt.Fprintf(out, "%s (%s) is %s\n", s.Name, s.Address, s.State) })
		},
	}
}

func sandboxListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "servers", Short: "list the servers of a running sandbox", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var all struct {
				Servers []sandboxServer `json:"servers"`
			}
			if err := sandboxCall(c, http.MethodGet, "/sandbox/servers", &all); err != nil {
				return err
			}
			return told(c, all, func(out io.Writer) {
				for _, s := range all.Servers {
					fmt.Fprintf(out, "%-10s %-21s %-8s pid %d\n", s.Name, s.Address, s.State, s.Pid)
				}
			})
		},
	}
}

// told writes an answer of the sandbox as somebody wants it.
func told(c *cobra.Command, answer any, text func(out io.Writer)) error {
	inJSON, err := wantsJSON(c)
	switch {
	case err != nil:
		return err
	case inJSON:
		encoder := json.NewEncoder(c.OutOrStdout())
		encoder.SetIndent("", "  ")
		return encoder.Encode(answer)
	}
	text(c.OutOrStdout())
	return nil
}
