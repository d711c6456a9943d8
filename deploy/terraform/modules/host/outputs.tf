output "user_data" {
  description = "The cloud-init document to give to the machine."
  value       = "#cloud-config\n${yamlencode(local.cloud_config)}"
}

output "server_properties" {
  description = "What the document writes to /etc/fastbroker/server.properties."
  value       = local.server_properties
}

output "ports" {
  description = "First and last port of the workers, for a firewall: {first, last}."
  value       = { first = var.port, last = local.last_port }
}

output "bootstrap_servers" {
  description = "Every worker of this host as HOST:PORT,...: a client's bootstrap.servers."
  value       = join(",", [for port in range(var.port, local.last_port + 1) : "${var.advertised_host}:${port}"])
}
