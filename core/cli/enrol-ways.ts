/** How an enrolment token gets into its VM, for each way the line to copy. */
import { OEM_CREDENTIAL, TOKEN_CREDENTIAL, TOKEN_FW_CFG } from '../../protocol/index.ts';
import type { Paint } from './style.ts';

/** A token has no character that any of these would have to quote. */
export function handInWays(token: string) {
  const oemString = `${OEM_CREDENTIAL}${TOKEN_CREDENTIAL}=${token}`;
  return {
    libvirtSmbios: `<sysinfo type='smbios'><oemStrings><entry>${oemString}</entry></oemStrings></sysinfo>`,
    libvirtFwCfg: `<sysinfo type='fwcfg'><entry name='${TOKEN_FW_CFG}'>${token}</entry></sysinfo>`,
    qemuSmbios: `-smbios type=11,value=${oemString}`,
    qemuFwCfg: `-fw_cfg name=${TOKEN_FW_CFG},string=${token}`,
    file: '/var/lib/lazaret-agent/enrolment-token',
  };
}

/** `lifetime`: for which VM, and for how long. */
export function renderWays(token: string, lifetime: string, paint: Paint): string {
  const ways = handInWays(token);
  const way = (title: string, ...lines: string[]) =>
    `${paint('strong', title)}\n${lines.map((line) => `  ${line}\n`).join('')}`;
  return [
    `${token}\n${paint('faint', `for ${lifetime}; it is shown this one time`)}\n`,
    way(
      'libvirt, SMBIOS: in the domain, which is then started anew',
      ways.libvirtSmbios,
      "and in <os>: <smbios mode='sysinfo'/>",
    ),
    way('libvirt, fw_cfg', ways.libvirtFwCfg),
    way('QEMU', ways.qemuSmbios, 'or', ways.qemuFwCfg),
    way(
      'by hand, in the guest: a file with the token (mode 0600)',
      ways.file,
      'or any file, with lazaret-agent --enrolment-token-file FILE',
    ),
  ].join('\n');
}
