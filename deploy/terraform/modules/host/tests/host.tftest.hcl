# What is rendered, and what is refused. No provider, no cloud: terraform test

variables {
  package         = "https://dl.example.com/fastbroker-0.1.0-cp311-cp311-linux_x86_64.whl"
  node_id         = 3
  advertised_host = "198.51.100.7"
  workers         = 4
}

run "a_host_with_a_data_disk" {
  command = plan

  variables {
    rack        = "fsn1"
    data_device = "/dev/disk/by-id/scsi-0HC_Volume_7"
    properties  = { "log.retention.hours" = "24" }
  }

  assert {
    condition = output.server_properties == join("\n", [
      "# Written at the first boot, and by nobody afterwards: change it here, then",
      "# systemctl reload-or-restart fastbroker",
      "advertised.listeners=PLAINTEXT://198.51.100.7:9092",
      "broker.rack=fsn1",
      "fastbroker.metrics.listener=127.0.0.1:9404",
      "fastbroker.workers=4",
      "listeners=PLAINTEXT://0.0.0.0:9092",
      "log.dirs=/var/lib/fastbroker",
      "log.retention.hours=24",
      "node.id=3",
      "",
    ])
    error_message = "server.properties is not as expected."
  }

  assert {
    condition     = startswith(output.user_data, "#cloud-config\n")
    error_message = "cloud-init goes by the first line."
  }

  assert {
    condition     = yamldecode(output.user_data).write_files[0].content == output.server_properties
    error_message = "What is written is not what the output shows."
  }

  assert {
    condition = yamldecode(output.user_data).runcmd == [[
      "/usr/local/lib/fastbroker/deploy/first-boot.sh", var.package, var.data_device
    ]]
    error_message = "The first boot does not get the package and the disk."
  }

  assert {
    condition     = alltrue([for file in yamldecode(output.user_data).write_files : file.encoding == "gz+b64" if try(file.encoding, null) != null])
    error_message = "Only files packed as gz+b64 or as they are."
  }

  assert {
    condition = length(setsubtract([
      "/usr/local/lib/fastbroker/deploy/install.sh",
      "/usr/local/lib/fastbroker/deploy/first-boot.sh",
      "/usr/local/lib/fastbroker/deploy/systemd/fastbroker.service",
    ], yamldecode(output.user_data).write_files[*].path)) == 0
    error_message = "A file that the first boot needs is missing."
  }

  assert {
    condition     = length(output.user_data) <= 16384
    error_message = "Some clouds take 16 KiB of user data."
  }

  assert {
    condition     = output.ports == { first = 9092, last = 9095 }
    error_message = "Worker i listens on port + i."
  }

  assert {
    condition     = output.bootstrap_servers == "198.51.100.7:9092,198.51.100.7:9093,198.51.100.7:9094,198.51.100.7:9095"
    error_message = "bootstrap_servers names every worker."
  }
}

run "without_a_disk_rack_and_metrics" {
  command = plan

  variables {
    metrics_listener = null
    workers          = 1
  }

  assert {
    condition     = !strcontains(output.server_properties, "metrics") && !strcontains(output.server_properties, "rack")
    error_message = "What is null is left out."
  }

  assert {
    condition     = length(yamldecode(output.user_data).runcmd[0]) == 2
    error_message = "There is no disk to prepare."
  }

  assert {
    condition     = output.bootstrap_servers == "198.51.100.7:9092"
    error_message = "One worker, one address."
  }
}

run "values_stay_values" {
  command = plan

  variables {
    properties = { "group.coordinator.rebalance.protocols" = "a\\b: \"c\" 'd' $${e} %%{f} #g {h} - !i & *j |" }
  }

  assert {
    condition = yamldecode(output.user_data).write_files[0].content == output.server_properties && strcontains(
      output.server_properties,
      "\ngroup.coordinator.rebalance.protocols=a\\\\b: \"c\" 'd' $${e} %%{f} #g {h} - !i & *j |\n"
    )
    error_message = "A value came out as something else."
  }
}

run "package_with_a_command" {
  command         = plan
  expect_failures = [var.package]
  variables {
    package = "fastbroker; reboot"
  }
}

run "package_with_an_option" {
  command         = plan
  expect_failures = [var.package]
  variables {
    package = "--index-url=http://192.0.2.1/"
  }
}

run "package_with_a_substitution" {
  command         = plan
  expect_failures = [var.package]
  variables {
    package = "fastbroker$(reboot)"
  }
}

run "package_with_a_quote" {
  command         = plan
  expect_failures = [var.package]
  variables {
    package = "fastbroker'"
  }
}

run "package_of_two_lines" {
  command         = plan
  expect_failures = [var.package]
  variables {
    package = "fastbroker\nreboot"
  }
}

run "node_id_of_another_cluster" {
  command         = plan
  expect_failures = [var.node_id]
  variables {
    node_id = 1000
  }
}

run "node_id_zero" {
  command         = plan
  expect_failures = [var.node_id]
  variables {
    node_id = 0
  }
}

run "half_a_worker" {
  command         = plan
  expect_failures = [var.workers]
  variables {
    workers = 1.5
  }
}

run "address_with_a_port" {
  command         = plan
  expect_failures = [var.advertised_host]
  variables {
    advertised_host = "broker-1.example.com:9092"
  }
}

run "address_with_another_setting" {
  command         = plan
  expect_failures = [var.advertised_host]
  variables {
    advertised_host = "broker-1\nauto.create.topics.enable=false"
  }
}

run "address_with_another_listener" {
  command         = plan
  expect_failures = [var.advertised_host]
  variables {
    advertised_host = "broker-1:9092,PLAINTEXT2://192.0.2.1"
  }
}

run "ports_past_the_last" {
  command         = plan
  expect_failures = [var.port]
  variables {
    port = 65533
  }
}

run "rack_with_a_blank" {
  command         = plan
  expect_failures = [var.rack]
  variables {
    rack = "rack 1"
  }
}

run "metrics_without_a_port" {
  command         = plan
  expect_failures = [var.metrics_listener]
  variables {
    metrics_listener = "127.0.0.1"
  }
}

run "metrics_on_a_workers_port" {
  command         = plan
  expect_failures = [var.metrics_listener]
  variables {
    metrics_listener = "0.0.0.0:9095"
  }
}

run "metrics_on_no_address" {
  command         = plan
  expect_failures = [var.metrics_listener]
  variables {
    metrics_listener = "300.0.0.1:9404"
  }
}

run "a_device_that_is_none" {
  command         = plan
  expect_failures = [var.data_device]
  variables {
    data_device = "/dev/vdb; reboot"
  }
}

run "a_property_of_two_lines" {
  command         = plan
  expect_failures = [var.properties]
  variables {
    properties = { "num.partitions" = "1\nauto.create.topics.enable=false" }
  }
}

run "a_property_beyond_ascii" {
  command         = plan
  expect_failures = [var.properties]
  variables {
    properties = { "num.partitions" = "1\u2028log.dirs=/tmp" }
  }
}

run "a_key_that_ends_early" {
  command         = plan
  expect_failures = [var.properties]
  variables {
    properties = { "num.partitions=1" = "" }
  }
}

run "a_key_that_is_derived" {
  command         = plan
  expect_failures = [var.properties]
  variables {
    properties = { "advertised.listeners" = "PLAINTEXT://192.0.2.1:9092" }
  }
}
