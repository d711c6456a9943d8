output "bootstrap_servers" {
  description = "What clients take as bootstrap.servers, one entry for each broker; today each host is a broker of its own, so never join two entries."
  value       = [for name in local.names : module.host[name].bootstrap_servers]
}

output "hosts" {
  description = "Each host by name: node_id, rack, address (as advertised), public_address, bootstrap_servers, server_id, volume_id."
  value = {
    for name, host in local.hosts : name => {
      node_id           = host.node_id
      rack              = host.location
      address           = local.addresses[name]
      public_address    = hcloud_primary_ip.host[name].ip_address
      bootstrap_servers = module.host[name].bootstrap_servers
      server_id         = hcloud_server.host[name].id
      volume_id         = hcloud_volume.data[name].id
    }
  }
}

output "metrics_targets" {
  description = "HOST:PORT of every host's /metrics, for static_configs of Prometheus; empty unless metrics_cidrs lets somebody in."
  value = [
    for name in local.names : "${local.addresses[name]}:${var.metrics_port}"
    if var.metrics_port != null && length(var.metrics_cidrs) > 0
  ]
}

output "firewall_id" {
  description = "The firewall of all hosts, for rules of your own."
  value       = hcloud_firewall.hosts.id
}
