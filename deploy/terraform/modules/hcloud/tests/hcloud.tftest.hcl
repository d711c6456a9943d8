# What is planned and what is refused, with a provider that makes nothing: terraform test

mock_provider "hcloud" {
  override_during = plan

  mock_data "hcloud_server_type" {
    defaults = { cores = 4 }
  }

  mock_resource "hcloud_primary_ip" {
    defaults = { id = "11", ip_address = "198.51.100.7" }
  }

  mock_resource "hcloud_volume" {
    defaults = { id = "22" }
  }

  mock_resource "hcloud_firewall" {
    defaults = { id = "33" }
  }

  mock_resource "hcloud_placement_group" {
    defaults = { id = "44" }
  }

  mock_resource "hcloud_server" {
    defaults = { id = "55" }
  }
}

variables {
  package      = "fastbroker==0.1.0"
  client_cidrs = ["203.0.113.0/24"]
}

run "one_host" {
  command = plan

  assert {
    condition     = output.bootstrap_servers == ["198.51.100.7:9092,198.51.100.7:9093,198.51.100.7:9094,198.51.100.7:9095"]
    error_message = "A worker for each core, by the public address."
  }

  assert {
    condition = [for rule in hcloud_firewall.hosts.rule : [rule.direction, rule.protocol, rule.port, tolist(rule.source_ips)]] == [
      ["in", "tcp", "9092-9095", tolist(["203.0.113.0/24"])]
    ]
    error_message = "Clients alone, and exactly the workers' ports."
  }

  assert {
    condition     = strcontains(module.host["fastbroker-1"].server_properties, "\nfastbroker.metrics.listener=127.0.0.1:9404\n")
    error_message = "Nobody was given the metrics: they are for the host itself."
  }

  assert {
    condition     = yamldecode(module.host["fastbroker-1"].user_data).runcmd[0][2] == "/dev/disk/by-id/scsi-0HC_Volume_22"
    error_message = "The host is told another disk than its own."
  }

  assert {
    condition     = hcloud_volume.data["fastbroker-1"].delete_protection && hcloud_primary_ip.host["fastbroker-1"].delete_protection
    error_message = "Data is protected unless said otherwise."
  }

  assert {
    condition     = !hcloud_primary_ip.host["fastbroker-1"].auto_delete
    error_message = "The address outlives the machine."
  }

  assert {
    condition     = length(output.metrics_targets) == 0
    error_message = "Nobody can scrape."
  }
}

run "hosts_of_one_cluster_to_be" {
  command = plan

  variables {
    hosts     = 12
    locations = ["fsn1", "nbg1", "hel1"]
  }

  assert {
    condition     = [for name, host in output.hosts : host.node_id if host.rack == "nbg1"] == [11, 2, 5, 8]
    error_message = "Hosts go to the locations in turn, and their racks say so."
  }

  assert {
    condition     = toset(values(output.hosts)[*].node_id) == toset(range(1, 13))
    error_message = "Node ids are 1..hosts."
  }

  assert {
    condition     = length(output.bootstrap_servers) == 12
    error_message = "An entry for each host."
  }

  assert {
    condition     = keys(hcloud_placement_group.spread) == ["0", "1"]
    error_message = "A placement group takes ten machines."
  }
}

run "rules_for_prometheus_and_ssh" {
  command = plan

  variables {
    workers       = 1
    port          = 19092
    metrics_cidrs = ["203.0.113.9/32"]
    ssh_cidrs     = ["203.0.113.10/32"]
  }

  assert {
    condition     = toset([for rule in hcloud_firewall.hosts.rule : "${rule.port} ${join(",", rule.source_ips)}"]) == toset(["19092 203.0.113.0/24", "9404 203.0.113.9/32", "22 203.0.113.10/32"])
    error_message = "Each port is for its own networks."
  }

  assert {
    condition     = strcontains(module.host["fastbroker-1"].server_properties, "\nfastbroker.metrics.listener=0.0.0.0:9404\n")
    error_message = "Prometheus comes from outside."
  }

  assert {
    condition     = output.metrics_targets == ["198.51.100.7:9404"]
    error_message = "Prometheus can paste its target."
  }
}

run "clients_in_a_private_network" {
  command = plan

  variables {
    hosts           = 2
    advertise       = "private"
    client_cidrs    = []
    workers         = 2
    private_network = { id = 7, ip_range = "10.0.1.0/24" }
  }

  assert {
    condition     = output.bootstrap_servers == ["10.0.1.11:9092,10.0.1.11:9093", "10.0.1.12:9092,10.0.1.12:9093"]
    error_message = "Clients are told the private addresses."
  }

  assert {
    condition     = length(hcloud_firewall.hosts.rule) == 0
    error_message = "Nothing comes in by the public addresses."
  }

  assert {
    condition     = [for one in hcloud_server.host["fastbroker-2"].network : [one.network_id, one.ip]] == [[7, "10.0.1.12"]]
    error_message = "The host has the address that clients are told."
  }
}

run "the_world_when_asked" {
  command = plan

  variables {
    client_cidrs      = ["0.0.0.0/0"]
    open_to_the_world = true
  }
}

run "the_world_unasked" {
  command         = plan
  expect_failures = [var.client_cidrs]
  variables {
    client_cidrs = ["0.0.0.0/0"]
  }
}

run "the_world_in_halves" {
  command         = plan
  expect_failures = [var.client_cidrs]
  variables {
    client_cidrs = ["0.0.0.0/1", "128.0.0.0/1"]
  }
}

run "the_world_of_ipv6" {
  command         = plan
  expect_failures = [var.client_cidrs]
  variables {
    client_cidrs = ["::/0"]
  }
}

run "an_address_without_a_length" {
  command         = plan
  expect_failures = [var.client_cidrs]
  variables {
    client_cidrs = ["203.0.113.7"]
  }
}

run "nobody_at_all" {
  command         = plan
  expect_failures = [check.reachable]
  variables {
    client_cidrs = []
  }
}

run "private_without_a_network" {
  command         = plan
  expect_failures = [var.advertise]
  variables {
    advertise = "private"
  }
}

run "a_network_too_small" {
  command         = plan
  expect_failures = [var.private_network]
  variables {
    hosts           = 20
    private_network = { id = 7, ip_range = "10.0.1.0/28" }
  }
}

run "metrics_for_everybody" {
  command         = plan
  expect_failures = [var.metrics_cidrs]
  variables {
    metrics_cidrs = ["0.0.0.0/0"]
  }
}

run "ssh_for_everybody" {
  command         = plan
  expect_failures = [var.ssh_cidrs]
  variables {
    ssh_cidrs = ["0.0.0.0/0"]
  }
}

run "no_hosts" {
  command         = plan
  expect_failures = [var.hosts]
  variables {
    hosts = 0
  }
}

run "a_name_that_no_host_can_have" {
  command         = plan
  expect_failures = [var.name]
  variables {
    name = "Fast_Broker"
  }
}

run "no_location" {
  command         = plan
  expect_failures = [var.locations]
  variables {
    locations = []
  }
}

run "a_disk_that_the_cloud_does_not_make" {
  command         = plan
  expect_failures = [var.data_disk_gib]
  variables {
    data_disk_gib = 5
  }
}

run "no_workers" {
  command         = plan
  expect_failures = [var.workers]
  variables {
    workers = 0
  }
}

run "a_server_type_with_a_blank" {
  command         = plan
  expect_failures = [var.server_type]
  variables {
    server_type = "cpx 22"
  }
}

run "a_privileged_metrics_port" {
  command         = plan
  expect_failures = [var.metrics_port]
  variables {
    metrics_port = 80
  }
}
