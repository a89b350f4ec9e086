/** Whether a text is an IPv4 or IPv6 address, or a network such as 10.0.0.0/8. */
export function isAddress(text: string): boolean {
  const [address = "", bits, ...more] = text.split("/");
  if (more.length > 0) return false;
  const four =
    /^\d{1,3}(\.\d{1,3}){3}$/.test(address) &&
    address.split(".").every((part) => Number(part) <= 255 && String(Number(part)) === part);
  const six = !four && address.includes(":") && URL.canParse(`http://[${address}]/`);
  if (!four && !six) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (four ? 32 : 128));
}
