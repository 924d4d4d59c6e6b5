package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/primacydb/primacy/topology"
)

// MaintenanceRequest begins or ends maintenance.
type MaintenanceRequest struct {
	On     bool   `json:"on"`
	ForMS  int64  `json:"for_ms,omitempty" minimum:"0" maximum:"2592000000" doc:"How long it lasts, at most 30 days; left out: until it is switched off."`
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"For the record."`
}

func (f *front) describeMaintenance(described huma.API) {
	huma.Register(described, needs(RoleOperator, huma.Operation{
		OperationID: "set-maintenance", Method: http.MethodPut, Path: prefix + "/clusters/{cluster}/servers/{server}/maintenance", Tags: []string{"switches"},
		Summary: "Take a server out, or back", Description: "A server under maintenance is never promoted and not repaired.",
	}), func(ctx context.Context, in *struct {
		Cluster string `path:"cluster" example:"shop" maxLength:"63"`
		Server  string `path:"server" example:"db1:3306" maxLength:"300"`
		Conditions
		Body MaintenanceRequest
	}) (*clusterAnswer, error) {
		return f.maintenance(ctx, maintenanceInput{in.Cluster, in.Conditions, in.Body}, in.Server)
	})
	huma.Register(described, needs(RoleOperator, huma.Operation{
		OperationID: "set-cluster-maintenance", Method: http.MethodPut, Path: prefix + "/clusters/{cluster}/maintenance", Tags: []string{"switches"},
		Summary: "Take a whole cluster out, or back", Description: "Meanwhile nothing is changed there by itself: no primary is replaced and no replica repaired. Changes by hand go on.",
	}), func(ctx context.Context, in *maintenanceInput) (*clusterAnswer, error) {
		return f.maintenance(ctx, *in, "")
	})
}

type maintenanceInput struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Conditions
	Body MaintenanceRequest
}

// maintenance of a server, or of the whole cluster when none is named.
func (f *front) maintenance(ctx context.Context, in maintenanceInput, server string) (*clusterAnswer, error) {
	order, err := in.order(ctx, in.Body.Reason, "maintenance "+in.Cluster+" "+server, in.Body)
	if err != nil {
		return nil, err
	}
	order.Lasting = time.Duration(in.Body.ForMS) * time.Millisecond
	if err := f.settings.Plane.SetMaintenance(ctx, in.Cluster, topology.Address(server), in.Body.On, order); err != nil {
		return nil, f.problemOf(err)
	}
	return f.cluster(in.Cluster)
}
