/**
 * Which file systems of a guest are scanned. By default the local ones: those that lie on the guest's own disks or in
 * its memory, and what is stacked on them. Any other is left out unless the operator names it: what lies on a server
 * is the server's to scan, once and not by each of its guests, and a guest must not wait for it.
 *
 * Left out therefore: network and cluster file systems (nfs, cifs, ceph, gfs2), shares of the host (virtiofs, 9p),
 * FUSE, whose program may be anything (fuseblk too), and every type that this table does not know. What the kernel
 * shows of itself (proc, sysfs, cgroup) holds no files of the guest.
 */
export const LOCAL_FILE_SYSTEMS: readonly string[] =
  `aufs bcachefs btrfs cramfs devtmpfs ecryptfs erofs exfat ext2 ext3 ext4 f2fs hfs hfsplus iso9660 jffs2 jfs minix
   msdos nilfs2 ntfs ntfs3 overlay ramfs reiserfs romfs rootfs shiftfs squashfs tmpfs ubifs udf ufs vfat xfs
   zfs`.split(/\s+/);

/** By which all of them are named. */
export const LOCAL = 'local';

/** The types that a guest is asked to list. */
export const typesOf = (named: readonly string[]): string[] => [
  ...new Set(named.flatMap((name) => (name === LOCAL ? LOCAL_FILE_SYSTEMS : [name]))),
];
