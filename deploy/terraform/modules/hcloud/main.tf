# N hosts on Hetzner Cloud. Addresses and data disks are resources of their own, made before the
# machines: so user data can name them (and, once hosts form one cluster, every other host's), and a
# machine can be replaced while its disk and its address stay.

data "hcloud_server_type" "host" {
  name = var.server_type
}

locals {
  workers = coalesce(var.workers, data.hcloud_server_type.host.cores)

  hosts = {
    for n in range(1, var.hosts + 1) : "${var.name}-${n}" => {
      node_id    = n
      location   = var.locations[(n - 1) % length(var.locations)]
      private_ip = var.private_network == null ? null : cidrhost(var.private_network.ip_range, var.private_network.first + n - 1)
      spread     = tostring(floor((n - 1) / 10)) # a placement group holds ten machines
    }
  }

  names = [for n in range(1, var.hosts + 1) : "${var.name}-${n}"] # in the order of node ids

  addresses = {
    for name, host in local.hosts :
    name => var.advertise == "private" ? host.private_ip : hcloud_primary_ip.host[name].ip_address
  }

  labels = merge({ service = "fastbroker" }, var.labels)

  metrics_listener = (
    var.metrics_port == null ? null :
    "${length(var.metrics_cidrs) > 0 ? "0.0.0.0" : "127.0.0.1"}:${var.metrics_port}"
  )

  ingress = [for rule in [
    { port = local.ports, from = var.client_cidrs, what = "Kafka clients" },
    { port = var.metrics_port == null ? "" : tostring(var.metrics_port), from = var.metrics_cidrs, what = "Prometheus" },
    { port = "22", from = var.ssh_cidrs, what = "SSH" },
  ] : rule if length(rule.from) > 0 && rule.port != ""]

  ports = local.workers == 1 ? tostring(var.port) : "${var.port}-${var.port + local.workers - 1}"
}

module "host" {
  source   = "../host"
  for_each = local.hosts

  package          = var.package
  node_id          = each.value.node_id
  rack             = each.value.location
  advertised_host  = local.addresses[each.key]
  port             = var.port
  workers          = local.workers
  metrics_listener = local.metrics_listener
  data_device      = "/dev/disk/by-id/scsi-0HC_Volume_${hcloud_volume.data[each.key].id}"
  properties       = var.properties
}

resource "hcloud_primary_ip" "host" {
  for_each = local.hosts

  name              = each.key
  type              = "ipv4"
  assignee_type     = "server"
  location          = each.value.location
  auto_delete       = false
  delete_protection = var.protect_data
  labels            = local.labels
}

resource "hcloud_volume" "data" {
  for_each = local.hosts

  name              = each.key
  size              = var.data_disk_gib
  location          = each.value.location
  delete_protection = var.protect_data
  labels            = local.labels
}

# Whatever no rule lets in is refused. It guards public addresses, not the private network.
resource "hcloud_firewall" "hosts" {
  name   = var.name
  labels = local.labels

  dynamic "rule" {
    for_each = local.ingress
    content {
      description = rule.value.what
      direction   = "in"
      protocol    = "tcp"
      port        = rule.value.port
      source_ips  = rule.value.from
    }
  }
}

# Machines of a group never share a physical one.
resource "hcloud_placement_group" "spread" {
  for_each = toset([for host in local.hosts : host.spread])

  name   = "${var.name}-${each.key}"
  type   = "spread"
  labels = local.labels
}

resource "hcloud_server" "host" {
  for_each = local.hosts

  name               = each.key
  server_type        = var.server_type
  image              = var.image
  location           = each.value.location
  ssh_keys           = var.ssh_keys
  user_data          = module.host[each.key].user_data
  firewall_ids       = [hcloud_firewall.hosts.id]
  placement_group_id = hcloud_placement_group.spread[each.value.spread].id
  labels             = merge(local.labels, { node_id = tostring(each.value.node_id) })

  public_net {
    ipv4_enabled = true
    ipv4         = hcloud_primary_ip.host[each.key].id
    ipv6_enabled = false
  }

  dynamic "network" {
    for_each = var.private_network == null ? [] : [var.private_network]
    content {
      network_id = network.value.id
      ip         = each.value.private_ip
      alias_ips  = []
    }
  }

  lifecycle {
    # Only the first boot reads these: a changed variable must not replace every broker at once.
    ignore_changes = [user_data, ssh_keys, image]

    precondition {
      condition     = length(module.host[each.key].user_data) <= 32768
      error_message = "The user data of ${each.key} is longer than the 32 KiB that the cloud takes: shorten `properties`."
    }
  }
}

resource "hcloud_volume_attachment" "data" {
  for_each = local.hosts

  volume_id = hcloud_volume.data[each.key].id
  server_id = hcloud_server.host[each.key].id
  automount = false # the host formats and mounts it
}

check "reachable" {
  assert {
    condition     = var.advertise == "private" || length(var.client_cidrs) > 0
    error_message = "client_cidrs is empty and advertise is \"public\": no client will reach a broker. Name your clients' networks."
  }
}
