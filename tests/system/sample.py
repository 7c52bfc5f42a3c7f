"""A customer export made up by the project itself, with the headers of the Chinook sample database, so
that the same maps and the same test read both: people of several scripts, quoted commas and quotes, blanks
inside and at the ends of values, absent cells, a phone that two people share, a byte order mark.
"""
import csv
import os

CUSTOMERS = ('CustomerId FirstName LastName Company Address City State Country PostalCode Phone Fax Email '
             'SupportRepId').split()
INVOICES = ('InvoiceId CustomerId InvoiceDate BillingAddress BillingCity BillingState BillingCountry '
            'BillingPostalCode Total').split()

PEOPLE = [
    ('Åsa', 'Öhrström', '', 'Storgatan 4', 'Malmö', '', 'Sweden', '211 42', '+46 (0)40-555 01 02', ''),
    ('Ng', 'Ọlá', 'Ọjà "Titun" Ltd', '7, Allen Ave', 'Lagos', 'LA', 'Nigeria', '', '+234 1 555 0101', ''),
    ('春子', '田辺', '田辺商店', '渋谷区 1-2-3', '東京', '', 'Japan', '150-0002', '+81-3-5550-0199', '+81-3-5550-0198'),
    ('Zoë', "O'Hara, Jr.", '', '12 High St', 'Galway', '', 'Ireland', 'H91', '+353 91 555 0111', ''),
    ('Иван', 'Петров', 'ООО "Ромашка", филиал', 'ул. Мира, 5', 'Томск ', '', 'Россия', '634000',
     '+7 (3822) 55-01-23', ''),
    ('Ana', 'de la Cruz', '', 'Calle Mayor 1', 'Madrid', 'MD', 'Spain', '28001', '', ''),
    ('  Max', 'Muster', '', 'Am Ring 9', 'Köln', 'NW', 'Germany', '50667', '+49 221 5550177', ''),
    ('Moritz', 'Muster', '', 'Am Ring 9', 'Köln', 'NW', 'Germany', '50667', '+49 221 5550177', ''),
    ('Leïla', 'Ben-Saïd', 'Atelier; Lumière', '3 rue du Port', 'Tunis', '', 'Tunisia', '1001',
     '+216.71.555.012', '+216 71 555 013'),
    ('José', 'Nuñez', '', 'Av. Sol 8\nPiso 2', 'Quito', 'P', 'Ecuador', '', '+593 2 555-0142', ''),
]


def rows():
    people, invoices = [], []
    for i in range(24):
        first, last, company, address, city, state, country, code, phone, fax = PEOPLE[i % len(PEOPLE)]
        if i >= len(PEOPLE):
            last, phone = f'{last} {i}', f'+1 (650) 555-{1000 + i}'
        people.append(dict(zip(CUSTOMERS, (
            str(100 + i), first, last, company, address.replace('\n', ', '), city, state, country, code,
            phone, fax, f'Person.{i:02}@Mail-{i % 3}.example', str(i % 4)))))
        for k in range(i % 5):
            invoices.append(dict(zip(INVOICES, (
                str(len(invoices) + 1), str(100 + i), f'2024-{1 + k:02}-{1 + i:02} {i % 24:02}:05:0{k}',
                address.replace('\n', ', '), city, state, country, code, f'{i}.{k:02}' if k else f'{i}'))))
    return people, invoices


def write_csv(path, header, lines, bom=False):
    with open(path, 'w', encoding='utf-8-sig' if bom else 'utf-8', newline='') as f:
        w = csv.DictWriter(f, header, lineterminator='\r\n' if bom else '\n')
        w.writeheader()
        w.writerows(lines)


def write(folder):
    people, invoices = rows()
    write_csv(os.path.join(folder, 'customers.csv'), CUSTOMERS, people, bom=True)
    write_csv(os.path.join(folder, 'invoices.csv'), INVOICES, invoices)
