// The reference was one page before. Its anchors lead to the page of the object.
const old = location.hash.match(/^#(django_async_cbv\.[\w.]+)$/);
if (old && !document.getElementById(old[1])) {
  let name = old[1];
  let link = null;
  while (!link && name.includes(".")) {
    link = document.querySelector(`article a[href$="#${name}"]`);
    name = name.slice(0, name.lastIndexOf("."));
  }
  if (link) {
    location.replace(link.href.split("#")[0] + location.hash);
  }
}
