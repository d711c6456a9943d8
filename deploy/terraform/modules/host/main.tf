# What any cloud needs to bring one host up: user data for cloud-init. No provider is used here; a
# cloud's own module makes the machine, the disk and the firewall, and passes `user_data` on.
#
# Nothing below is a text template: the document is encoded from values, so that no value of a
# variable can become another line, key or command.

locals {
  deploy    = abspath("${path.module}/../../..") # deploy/ of this repository
  installed = "/usr/local/lib/fastbroker/deploy" # where it lies on the host, in part
  data_dir  = "/var/lib/fastbroker"

  last_port = var.port + var.workers - 1

  settings = merge(
    {
      "node.id"              = tostring(var.node_id)
      "listeners"            = "PLAINTEXT://0.0.0.0:${var.port}"
      "advertised.listeners" = "PLAINTEXT://${var.advertised_host}:${var.port}"
      "fastbroker.workers"   = tostring(var.workers)
      "log.dirs"             = local.data_dir
    },
    var.rack == null ? {} : { "broker.rack" = var.rack },
    var.metrics_listener == null ? {} : { "fastbroker.metrics.listener" = var.metrics_listener },
    var.properties,
  )

  # A backslash escapes in properties files, in Kafka's as in ours.
  server_properties = join("", concat(
    ["# Written at the first boot, and by nobody afterwards: change it here, then\n",
    "# systemctl reload-or-restart fastbroker\n"],
    [for key, value in local.settings : "${key}=${replace(value, "\\", "\\\\")}\n"],
  ))

  # Scripts and units of the repository, packed: a cloud takes 16 or 32 KiB of user data.
  scripts = {
    "${local.installed}/first-boot.sh" = "${path.module}/files/first-boot.sh"
    "${local.installed}/install.sh"    = "${local.deploy}/install.sh"
  }
  units = {
    for name in fileset("${local.deploy}/systemd", "**") :
    "${local.installed}/systemd/${name}" => "${local.deploy}/systemd/${name}"
  }

  cloud_config = {
    ssh_pwauth = false
    write_files = concat(
      [{
        path        = "/etc/fastbroker/server.properties"
        permissions = "0644"
        content     = local.server_properties
      }],
      [for path, source in merge(local.scripts, local.units) : {
        path        = path
        permissions = endswith(path, ".sh") ? "0755" : "0644"
        encoding    = "gz+b64"
        content     = base64gzip(file(source))
      }],
    )
    # A list is run without a shell.
    runcmd = [concat(
      ["${local.installed}/first-boot.sh", var.package],
      var.data_device == null ? [] : [var.data_device],
    )]
  }
}
